local mp = require "moonpool"

local NAME = "moonpool_spec_reloaded"
local directory, path, before

local function write(source)
  local file = assert(io.open(path, "w"))
  file:write(source)
  file:close()
end

local function version(n)
  write(("local M = { number = %d } function M.get() return M.number end return M"):format(n))
end

describe("reload", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    os.execute("mkdir " .. directory)
    path = directory .. "/" .. NAME .. ".lua"
    before = package.path
    package.path = directory .. "/?.lua;" .. before
    version(1)
  end)

  after_each(function()
    package.path = before
    package.loaded[NAME] = nil
    os.remove(path)
    os.remove(directory)
  end)

  it("keeps the table, and puts the new fields in it", function()
    local module = require(NAME)
    module.extra = true
    write "local M = { fresh = 5 } function M.get() return M end return M"
    assert.equal(module, mp.reload(NAME))
    assert.equal(module, require(NAME))
    assert.same({ 5, nil, nil }, { module.fresh, module.number, module.extra })
    assert.equal(module, module.get())
  end)

  it("reaches idle workers, functions that they know, and those born later", function()
    local module = require(NAME)
    local pool <close> = mp.Pool { processes = 2, maxtasksperchild = 4 }
    local function get() return module.get() end
    for _, v in ipairs(pool:map(get, mp.range(4), 1)) do assert.equal(1, v) end
    version(2)
    mp.reload(NAME)
    for _, v in ipairs(pool:map(get, mp.range(20), 1)) do assert.equal(2, v) end
    for _, v in ipairs(pool:map(module.get, mp.range(4), 1)) do assert.equal(2, v) end
  end)

  it("does not wait for busy workers, which come to it behind their item", function()
    local module, sleep = require(NAME), mp.sleep
    local pool <close> = mp.Pool(1)
    local function slow() sleep(0.3) return module.get() end
    local first, second = pool:apply_async(slow), pool:apply_async(slow)
    pool:poll(0.1)
    version(2)
    mp.reload(NAME)
    assert.is_false(first:ready())
    local third = pool:apply_async(slow)
    assert.equal(2, third:get())
    assert.equal(1, first:get())
    assert.is_true(second:successful())
  end)

  it("reaches all open pools, and needs none", function()
    local module = require(NAME)
    local one <close> = mp.Pool(1)
    local two <close> = mp.Pool(1)
    local idle <close> = mp.Pool(1)
    one:apply(module.get)
    two:apply(module.get)
    version(7)
    mp.reload(NAME)
    assert.same({ 7, 7, 7 }, { one:apply(module.get), two:apply(module.get),
      idle:apply(module.get) })
  end)

  it("leaves the old module where the new one cannot be loaded", function()
    local module = require(NAME)
    write "error 'not ready'"
    local ok, err = pcall(mp.reload, NAME)
    assert.is_false(ok)
    assert.matches("not ready", tostring(err), 1, true)
    assert.equal(module, require(NAME))
    assert.equal(1, module.get())
  end)

  it("takes modules that are no tables", function()
    write "return 5"
    assert.equal(5, mp.reload(NAME))
    write "return 6"
    assert.equal(6, mp.reload(NAME))
    assert.equal(6, require(NAME))
  end)

  it("tells mistakes", function()
    for _, name in ipairs { 5, {}, "moonpool", "moonpool.pool" } do
      local ok, err = pcall(mp.reload, name)
      assert.same({ false, "argument" }, { ok, err.kind })
    end
    assert.is_function(mp.Pool)
  end)
end)
