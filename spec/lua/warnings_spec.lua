-- What is told by Lua's warnings: modules that have changed, and functions that bring much.
local script = require "spec.support.script"

-- The warnings of a script, one a line; what it printed.
local function run(source)
  local r = script.run([[
    package.path = "/tmp/?.lua;" .. package.path
    local function write(path, text)
      local file = assert(io.open(path, "w"))
      file:write(text)
      file:close()
    end
    local path = os.tmpname()
    os.remove(path)
    local name = path:match("[^/]*$")
    write(path .. ".lua", "return { threshold = 1, list = {}, f = function(x) return x end }")
  ]] .. source .. [[
    os.remove(path .. ".lua")
  ]])
  assert.equal(0, r.code, r.errors)
  local _, count = r.errors:gsub("Lua warning: moonpool", "")
  return count, r.errors, r.output
end

describe("a module that has changed", function()
  it("is told once for each change, naming it and the way on", function()
    local count, text, out = run [[
      local m = require(name)
      local pool <close> = mp.Pool(1)
      local function f() return m.threshold end
      io.write(pool:apply(f), " ", pool:apply(f), " ")
      m.threshold = 5
      io.write(pool:apply(f), " ", pool:apply(f), " ")
      package.loaded[name] = nil
      m = require(name)
      io.write(pool:apply(f), " ", pool:apply(f), "\n")
    ]]
    assert.equal("1 1 1 1 1 1\n", out)
    assert.equal(2, count)
    assert.truthy(text:find('module "lua_%w+" has other fields'))
    assert.truthy(text:find('module "lua_%w+" was loaded anew'))
    assert.truthy(text:find("mp.reload(", 1, true))
    assert.truthy(text:find("pool:refresh()", 1, true))
  end)

  it("is not told of others, of tables in it, nor where nothing names it", function()
    assert.equal(0, (run [[
      local m = require(name)
      local pool <close> = mp.Pool(1)
      pool:apply(function() return m.f(1) end)
      m.list.x = 1
      pool:apply(function() return m.f(1) end)
      m.threshold = 2
      pool:apply(function() return 1 end)
      string.threshold = 7
      pool:apply(function() return ("x"):rep(2) end)
    ]]))
  end)

  it("is not told of one that was reloaded", function()
    local count, _, out = run [[
      local m = require(name)
      do
        local pool <close> = mp.Pool(2)
        pool:apply(print, { "first" })
        write(path .. ".lua", "return { threshold = 8 }")
        mp.reload(name)
        print(pool:apply(function() return m.threshold end))
      end
    ]]
    assert.equal("first\n8\n", out)
    assert.equal(0, count)
  end)

  it("is noticed of one that workers have loaded themselves", function()
    local count, _, out = run [[
      local pool <close> = mp.Pool(1)
      pool:apply(print, {})
      local m = require(name)
      local function f() return m.threshold end
      io.write(pool:apply(f), " ")
      m.threshold = 3
      io.write(pool:apply(f), "\n")
    ]]
    assert.equal("\n1 1\n", out)
    assert.equal(1, count)
  end)
end)

describe("more than 64 MiB in one function", function()
  it("is told with the variable's name", function()
    local count, text = run [[
      local pool <close> = mp.Pool(1)
      pool:apply(print, {})
      local data = ("x"):rep(65 << 20)
      local function helper() return #data end
      local function f() return helper() end
      pool:apply(f)
      pool:apply(f)
    ]]
    assert.equal(1, count)
    assert.truthy(text:find("upvalue data", 1, true))
    assert.truthy(text:find("mp.share", 1, true))
  end)

  it("is told of a global", function()
    local count, text = run [[
      local pool <close> = mp.Pool(1)
      pool:apply(print, {})
      BIG = {}
      for i = 1, 70 do BIG[i] = ("x"):rep(1 << 20) .. i end
      pool:apply(function() return #BIG end)
    ]]
    assert.equal(1, count)
    assert.truthy(text:find("global BIG", 1, true))
  end)

  it("is not told of what the workers inherit, or of less #fork", function()
    assert.equal(0, (run [[
      local data = ("x"):rep(65 << 20)
      local pool <close> = mp.Pool(1)
      pool:apply(function() return #data end)
      local less = ("x"):rep(60 << 20)
      pool:apply(function() return #less end)
    ]]))
  end)
end)
