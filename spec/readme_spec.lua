-- The README's snippets run and print what stands below them.

local lfs = require "lfs"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- Pairs of a lua block and the text block that follows it directly.
local function snippets(text)
  local found = {}
  for code, output in text:gmatch("```lua\n(.-)```\n\n```text\n(.-)```") do
    found[#found + 1] = { code = code, output = output }
  end
  return found
end

local function run(code)
  local script, out = os.tmpname(), os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(code)
  file:close()
  local ok = os.execute(("%s %s > %s 2>&1 < /dev/null"):format(os.getenv("MOONPOOL"), script, out))
  local text = read(out)
  os.remove(script)
  os.remove(out)
  return ok, text
end

describe("the README", function()
  local text = read("README.md")
  local found = snippets(text)

  it("has no Lua block without its output", function()
    local _, blocks = text:gsub("```lua\n", "")
    assert.are.equal(blocks, #found)
    assert.is_true(blocks >= 4)
  end)

  for i, snippet in ipairs(found) do
    it(("snippet %d prints what it says"):format(i), function()
      local ok, output = run(snippet.code)
      assert.are.equal(snippet.output, output)
      assert.is_true(ok)
    end)
  end

  it("names only examples that exist", function()
    for path in text:gmatch("examples/[%w_]+%.lua") do
      assert.truthy(io.open(path))
    end
  end)

  it("names only specs that exist, and each that brings about faults", function()
    local named = {}
    local section = text:match("\n### What holds.-\n|.-\n\n")
    for cell in section:gmatch("| ([^|]*) |\n") do
      for name in cell:gmatch("`([%w_]+)`") do named[name] = true end
    end
    for entry in lfs.dir("spec/faults") do
      local name = entry:match("^(.*)_spec%.%w+$")
      if name then
        assert.is_true(named[name], name)
        named[name] = nil
      end
    end
    assert.is_nil(next(named))
  end)
end)
