-- timeout: 300
-- Names of files, completed within strings of the prompt.

local lfs = require "lfs"
local script = require "spec.support.script"
local tmux = require "spec.support.tmux"

local MOONPOOL = script.PROGRAMS.moonpool
if MOONPOOL:sub(1, 1) ~= "/" then
  MOONPOOL = lfs.currentdir() .. "/" .. MOONPOOL
end

describe("a string's end at the prompt", function()
  local folder, window

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
    lfs.mkdir(folder .. "/~")
    lfs.mkdir(folder .. "/sub")
    for _, name in ipairs { "~/in tilde", "sub/one.lua", "sub/two.lua", 'q"uote.txt', "back\\slash", "it's.lua",
      "star*x", "br{a,b}", ".hidden", "éa", "èb" } do
      io.open(folder .. "/" .. name, "w"):close()
    end
    window = tmux.start { columns = 80, command = ("sh -c 'cd %s && exec %s'"):format(folder, MOONPOOL),
      env = { XDG_STATE_HOME = folder .. "/state", LC_ALL = "C.UTF-8", INPUTRC = "/dev/null", NO_COLOR = "1" } }
    window:sees "\n>\n"
  end)
  teardown(function()
    window:keys("C-c", "C-d")
    window:__close()
    os.execute("rm -rf " .. folder)
  end)

  -- What is typed becomes that by a tab.
  local function becomes(wanted, typed)
    window:keys(typed, "Tab", "|")
    window:sees("> " .. wanted .. "|")
    window:keys("C-c")
    window:matches ">\n$"
  end

  it("is completed with files, folders with a slash and no quote", function()
    becomes('f("sub/', 'f("su')
    becomes('f("sub/one.lua"', 'f("sub/o')
    becomes("f('sub/two.lua'", "f('sub/t")
    becomes('f(".hidden"', 'f(".hi')
    becomes('f("none', 'f("none')
    becomes('"a" .. math.floor', '"a" .. math.flo')
  end)

  it("expands nothing", function()
    becomes('f("~/in tilde"', 'f("~/')
    becomes('f("star*x"', 'f("star*')
    becomes('f("br{a,b}"', 'f("br{')
  end)

  it("stays a right string", function()
    becomes([[f("q\"uote.txt"]], 'f("q')
    becomes([[f("q\"uote.txt"]], [[f("q\"u]])
    becomes([[f('q"uote.txt']], "f('q")
    becomes([[f('it\'s.lua']], "f('it")
    becomes([[f("it's.lua"]], 'f("it')
    becomes([[f("back\\slash"]], 'f("back')
    becomes([[f("back\\slash"]], [[f("back\]])
    becomes('f("éa"', 'f("é')
  end)

  it("is completed within long brackets, too", function()
    becomes("f [[sub/one.lua", "f [[sub/o")
    becomes("f [=[it's.lua", "f [=[it")
    becomes([[f [=[back\slash]], "f [=[ba")
  end)

  it("is completed in whole characters", function()
    window:keys("f('", "Tab", "Tab")
    window:sees "èb"
    window:matches " sub/ "
    window:keys("|")
    window:sees "> f('|"
    window:keys("C-c")
  end)
end)
