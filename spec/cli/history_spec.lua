-- timeout: 300
-- Where the prompt keeps what was typed, and where it cannot.

local lfs = require "lfs"
local script = require "spec.support.script"
local tmux = require "spec.support.tmux"

local MOONPOOL = script.PROGRAMS.moonpool

describe("the prompt's history", function()
  local home, folder, path

  before_each(function()
    home = os.tmpname()
    os.remove(home)
    folder = home .. "/moonpool"
    path = folder .. "/history"
    assert(lfs.mkdir(home) and lfs.mkdir(folder))
  end)
  after_each(function() os.execute("rm -rf " .. home) end)

  local function start()
    local window = tmux.start { columns = 120, command = MOONPOOL .. " -j 2 ",
      env = { XDG_STATE_HOME = home, LC_ALL = "C.UTF-8", INPUTRC = "/dev/null", NO_COLOR = "1" } }
    window:sees "\n>\n"
    return window
  end

  local function mode_of(name)
    return lfs.attributes(name, "permissions")
  end

  -- A session in which a line is typed, which the arrows give again.
  local function talk()
    local window <close> = start()
    window:keys("'al' .. 'ive'", "Enter")
    window:sees '\n"alive"\n'
    window:keys("Up", "Enter")
    window:matches '\n"alive"\n.*\n"alive"\n'
    local said = window:text()
    window:keys "C-d"
    window:sees "ended 0"
    return said
  end

  it("is a file that its owner alone may read", function()
    talk()
    assert.equal("rw-------", mode_of(path))
    assert.equal("'al' .. 'ive'\n'al' .. 'ive'\n", script.read(path))
  end)

  it("goes to what the path links to, whose mode stays", function()
    local target = home .. "/elsewhere"
    os.execute(("echo '6 * 7' >%s && chmod 644 %s && ln -s %s %s"):format(target, target, target, path))
    talk()
    assert.equal("6 * 7\n'al' .. 'ive'\n'al' .. 'ive'\n", script.read(target))
    assert.equal("rw-r--r--", mode_of(target))
    assert.equal("link", lfs.symlinkattributes(path, "mode"))
  end)

  it("leaves alone what is no file", function()
    local fifo = home .. "/fifo"
    os.execute(("mkfifo -m 622 %s && ln -s %s %s"):format(fifo, fifo, path))
    assert.truthy(talk():find(("no history is kept in %s: it is no regular file\n"):format(path), 1, true))
    assert.equal("rw--w--w-", mode_of(fifo))
    assert.equal("named pipe", lfs.attributes(fifo, "mode"))
  end)

  it("is none where a folder stands in its place", function()
    lfs.mkdir(path)
    local mode = mode_of(path)
    assert.truthy(talk():find(("no history is kept in %s: it is a directory\n"):format(path), 1, true))
    assert.equal(mode, mode_of(path))
  end)

  it("is begun with the last of a long file, which is cut at a line", function()
    local file <close> = io.open(path, "w")
    for i = 1, 30000 do
      file:write(("local number%d = 0\n"):format(i))
    end
    file:write "'the ' .. 'last'\n"
    file:close()
    local window <close> = start()
    window:keys("Up", "Enter")
    window:sees '\n"the last"\n'
    local text = script.read(path)
    assert.truthy(#text <= 1 << 18)
    assert.matches("^local number%d+ = 0\n", text)
    assert.equal("'the ' .. 'last'\n'the ' .. 'last'\n", text:sub(-34))
  end)
end)
