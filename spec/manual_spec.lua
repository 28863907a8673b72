-- The manual pages name all that the headers offer, and no more.

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- The functions that a header declares, as a set.
local function declared(header)
  local found = {}
  for name in read(header):gmatch("\nMOONPOOL_API[^;(]-([%w_]+)%(") do found[name] = true end
  return found
end

-- Those in the page's synopsis.
local function described(page)
  local found = {}
  local synopsis = read(page):match("%.SH SYNOPSIS\n(.-)\n%.SH")
  for name in synopsis:gmatch("([%w_]+)%(") do
    found[name] = name:match("^moonpool_") or name:match("^luaopen_") and true or nil
  end
  for name in pairs(found) do found[name] = true end
  return found
end

describe("the manual", function()
  it("has every function of moonpool.h", function()
    assert.same(declared("src/moonpool.h"), described("src/packaging/moonpool.3"))
  end)

  it("has every function of moonpool_lua.h", function()
    assert.same(declared("src/moonpool_lua.h"), described("src/packaging/moonpool_lua.3"))
  end)

  it("has every option of a pool and every error", function()
    local page, header = read("src/packaging/moonpool.3"), read("src/moonpool.h")
    for name in header:gmatch("MOONPOOL_E%u+") do
      assert.is_truthy(page:find(name, 1, true), name)
    end
    local options = header:match("typedef struct moonpool_options {(.-)} moonpool_options;")
    for name in options:gmatch("([%w_]+);") do
      assert.is_truthy(name == "log_user" or page:find(name, 1, true), name)
    end
  end)
end)
