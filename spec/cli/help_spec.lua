local mp = require "moonpool"
local script = require "spec.support.script"

local PROGRAM = script.PROGRAMS.moonpool

local SUBCOMMANDS = { "help", "journal", "map", "replay", "top" }

local function run(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  local _, _, code = pipe:close()
  return text, code
end

describe("moonpool help", function()
  it("shows all there is, on a screen", function()
    local text, code = run(PROGRAM .. " help")
    assert.equal(0, code)
    for _, name in ipairs(SUBCOMMANDS) do
      assert.truthy(text:find("\n  moonpool " .. name .. " ", 1, true), name)
    end
    local _, lines = text:gsub("[^\n]*\n", function(line) assert.truthy(#line <= 100, line) end)
    assert.truthy(lines <= 24, lines)
  end)

  it("shows more of each", function()
    for _, name in ipairs(SUBCOMMANDS) do
      local text, code = run(("%s help %s"):format(PROGRAM, name))
      assert.equal(0, code)
      assert.truthy(text:find("^moonpool " .. name .. " "), text)
    end
    for _, name in ipairs { "help", "map", "replay", "top" } do
      for _, word in ipairs { "-h", "--help" } do
        local text, code = run(("%s %s %s 2>/dev/null"):format(PROGRAM, name, word))
        assert.equal(0, code)
        assert.equal((run(("%s help %s"):format(PROGRAM, name))), text)
      end
    end
  end)

  it("tells what it does not know", function()
    local text, code = run(PROGRAM .. " help nap")
    assert.equal(1, code)
    assert.truthy(text:find("there is no subcommand 'nap'", 1, true), text)
    assert.equal(1, select(2, run(PROGRAM .. " help map more")))
    text, code = run(("{ %s help >/dev/full; }"):format(PROGRAM))
    assert.equal(1, code)
    assert.equal("moonpool help: cannot write: No space left on device\n", text)
  end)
end)

describe("bash completion", function()
  local folder

  before_each(function()
    local pipe <close> = io.popen("mktemp -d")
    folder = pipe:read()
    run(("cd %s; mkdir one; touch 'a file.lua' other"):format(folder))
  end)

  after_each(function() os.execute("rm -rf " .. folder) end)

  -- What the last of these words may become, sorted.
  local function complete(...)
    local words = { ... }
    for i, word in ipairs(words) do
      words[i] = "'" .. word .. "'"
    end
    local path = run("pwd"):gsub("\n", "") .. "/src/packaging/moonpool.bash"
    return (run(([[cd %s; bash -c 'moonpool() { command %s "$@"; }; . %s
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _moonpool
      [ ${#COMPREPLY[@]} = 0 ] || printf "%%s\n" "${COMPREPLY[@]}" | LC_ALL=C sort' x moonpool %s]]):format(folder,
      PROGRAM, path, table.concat(words, " "))))
  end

  it("is one that bash can read", function()
    assert.equal("", (run("bash -n src/packaging/moonpool.bash")))
  end)

  it("knows subcommands, options and files", function()
    assert.equal("map\n", complete("m"))
    assert.equal("a file.lua\nhelp\njournal\nmap\none\nother\nreplay\ntop\n", complete(""))
    assert.equal("--progress\n", complete("map", "--p"))
    assert.equal("-F\n-e\n-h\n-j\n-k\n-l\n-u\n", (complete("map", "-"):gsub("%-%-[a-z]+\n", "")))
    assert.equal("a file.lua\n", complete("map", "line", "a"))
    assert.equal("one\nother\n", complete("map", "--resume", "o"))
    assert.equal("", complete("map", "-e", ""))
    assert.equal("--csv\n", complete("journal", "--c"))
    assert.equal("a file.lua\n", complete("journal", "a"))
    assert.equal("replay\n", complete("help", "r"))
    assert.equal("", complete("help", "map", ""))
    assert.equal("one\nother\n", complete("script.lua", "o"))
  end)

  it("knows that the options of map stand before its expression", function()
    assert.equal("--json\n", complete("map", "-kF", ",", "--resume", "=", "J", "-u", "--j"))
    assert.equal("", complete("map", "line", "--j"))
    assert.equal("", complete("map", "-k", "--", "--j"))
    assert.equal("", complete("map", "-F", ",", "line", "-"))
    assert.equal("one\nother\n", complete("map", "line", "-e", "o"))
  end)

  it("leaves what stands behind a script to the script", function()
    for _, before in ipairs { { "rp.lua" }, { "-i", "rp.lua" }, { "-e", "x", "-l", "m", "-j", "2", "rp.lua" }, { "-" },
      { "--" }, { "-W", "map" }, { "./map" }, { "rp.lua", "-e" }, { "rp.lua", "top" } } do
      local words = table.concat(before, " ")
      before[#before + 1] = "-"
      assert.equal("", complete(table.unpack(before)), words)
      before[#before] = "o"
      assert.equal("one\nother\n", complete(table.unpack(before)), words)
    end
    assert.equal("-E\n-W\n-e\n-i\n-j\n-l\n-v\n", complete("-e", "x", "-"))
    assert.equal("", complete("-i", "-l", ""))
  end)

  it("knows the programs that have pools", function()
    local pool <close> = mp.Pool(1)
    pool:apply(math.sqrt, { 4 })
    assert.truthy(("\n" .. complete("top", "")):find(("\n%d\n"):format(mp.getpid()), 1, true))
    assert.equal("--once\n", complete("top", "--o"))
  end)

  it("has every option that help knows", function()
    local text, offered = run(PROGRAM .. " help map"), complete("map", "-")
    for option in text:gmatch "\n  (%-%-?%w+)" do
      assert.truthy(offered:find(option .. "\n", 1, true), option)
    end
  end)
end)

describe("the manual", function()
  it("has every option that help knows", function()
    local page = script.read("src/packaging/moonpool.1"):gsub("\\%-", "-")
    local text = run(PROGRAM .. " help map")
    for option in text:gmatch "\n  (%-%-?%w+)" do
      assert.truthy(page:find(option, 1, true), option)
    end
  end)
end)
