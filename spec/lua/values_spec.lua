-- timeout: 120
-- Values there and back through a pool's worker.
local mp = require "moonpool"
local script = require "spec.support.script"

-- What travels names no globals in here: busted's blocks have environments of their own.
local getmetatable, setmetatable, type = getmetatable, setmetatable, type

local function identity(...) return ... end

describe("a value that goes to a worker and back", function()
  local pool
  setup(function()
    pool = mp.Pool(2)
    pool:apply(identity)
  end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  local function back(value) return pool:apply(identity, { value }) end

  it("is equal, whatever its type", function()
    for _, value in ipairs { true, false, 0, -1, 1 << 62, math.mininteger, math.maxinteger, 0.1, 1e308,
      -1e-320, "", "text", "\0\255\n", ("x"):rep(100000), {}, { 1, 2, 3 }, { a = { b = { c = 1 } } },
      { [1.5] = "float key", [true] = "boolean key", [-3] = "negative", [1 << 40] = "large" },
      { 1, nil, 3, nil, 5 }, { { {} } } } do
      local came = back(value)
      assert.same(value, came)
      assert.equal(math.type(value), math.type(came))
    end
  end)

  it("keeps tables as keys, with their identity", function()
    local key = { "key" }
    local came = back { key = key, map = { [key] = "value" } }
    assert.equal("value", came.map[came.key])
  end)

  it("keeps shared and cyclic references within one item", function()
    local shared = { 1 }
    local graph = { a = shared, b = shared, list = {} }
    graph.self = graph
    for i = 1, 1000 do graph.list[i] = { graph, previous = graph.list[i - 1] } end
    local came = back(graph)
    assert.equal(came, came.self)
    assert.equal(came.a, came.b)
    assert.equal(came, came.list[1000][1])
    assert.equal(came.list[999], came.list[1000].previous)
    local a, b = pool:apply(identity, { shared, shared })
    assert.equal(a, b)
  end)

  it("may be a string of 8 MiB, both ways", function()
    local text = ("0123456789abcdef"):rep(1 << 19)
    assert.is_true(text == back(text))
    local texts = pool:map(identity, { text, text, text, text })
    for i = 1, 4 do assert.is_true(texts[i] == text) end
  end)

  it("may be a table of 1,000,000 floats, both ways", function()
    local floats = {}
    for i = 1, 1000000 do floats[i] = i / 7 end
    local came = back(floats)
    assert.equal(1000000, #came)
    for i = 1, 1000000 do
      if came[i] ~= floats[i] then assert.equal(floats[i], came[i]) end
    end
  end)

  it("may be nested 100,000 deep, both ways", function()
    local deep = { "core" }
    for i = 1, 100000 do deep = { level = i, inner = deep } end
    local came = back(deep)
    for i = 100000, 1, -1 do
      if came.level ~= i then assert.equal(i, came.level) end
      came = came.inner
    end
    assert.same({ "core" }, came)
  end)

  it("comes back with the very metatable it left with", function()
    local Point = {}
    Point.__index = Point
    function Point.length(p) return (p.x * p.x + p.y * p.y) ^ 0.5 end
    local came = back(setmetatable({ x = 3, y = 4 }, Point))
    assert.equal(Point, getmetatable(came))
    assert.equal(5.0, came:length())
    assert.equal(5.0, pool:apply(function(p) return p:length() end,
      { setmetatable({ x = 3, y = 4 }, Point) }))
    assert.same({ 5.0, 10.0, n = 2 }, pool:map(function(p) return p:length() end,
      { setmetatable({ x = 3, y = 4 }, Point), setmetatable({ x = 6, y = 8 }, Point) }))
    local made = pool:apply(function() return setmetatable({ x = 6, y = 8 }, Point) end)
    assert.equal(10.0, made:length())
    assert.equal(Point, getmetatable(made))
  end)

  it("may build itself by __reduce", function()
    local function make(n) return { built = n } end
    local Odd = { __reduce = function(o) return make, o.n * 2 end }
    assert.same({ built = 10 }, back(setmetatable({ n = 5 }, Odd)))
  end)

  it("closes over 50 MB", function()
    local lines, text = {}, ("x"):rep(1000)
    for i = 1, 50000 do lines[i] = text .. i end
    local function count(from)
      local n = 0
      for i = from, #lines do n = n + #lines[i] end
      return n
    end
    assert.equal(count(1), pool:apply(count, { 1 }))
    assert.same({ count(1), count(40000), n = 2 }, pool:map(count, { 1, 40000 }))
  end)

  it("may be many values", function()
    local many = {}
    for i = 1, 10000 do many[i] = i end
    many.n = 10000
    assert.equal(10000, select("#", pool:apply(identity, many)))
    assert.equal(10000, (select(10000, pool:apply(identity, many))))
  end)

  it("is a copy", function()
    local t = { 1 }
    local came = back(t)
    came[1] = 2
    assert.same({ 1 }, t)
    assert.equal("table", pool:apply(function(x) x[1] = 5 return type(x) end, { t }))
    assert.same({ 1 }, t)
  end)
end)

describe("dumps and loads", function()
  it("give values there and back, and the position behind", function()
    for _, value in ipairs { 1, 1.5, "x", true, { 1, { a = 2 } } } do
      local bytes = mp.dumps(value)
      local came, position = mp.loads(bytes)
      assert.same(value, came)
      assert.equal(#bytes + 1, position)
    end
    assert.is_nil((mp.loads(mp.dumps(nil))))
  end)

  it("read a sequence by positions", function()
    local bytes = mp.dumps(1) .. mp.dumps("two") .. mp.dumps({ 3 })
    local values, position = {}, 1
    while position <= #bytes do
      values[#values + 1], position = mp.loads(bytes, { position = position })
    end
    assert.same({ 1, "two", { 3 } }, values)
  end)

  it("let functions pass only when asked, on either side", function()
    local function add(a, b) return a + b end
    local ok, err = pcall(mp.dumps, add)
    assert.is_false(ok)
    assert.equal("encode", err.kind)
    local bytes = mp.dumps(add, { functions = true })
    ok, err = pcall(mp.loads, bytes)
    assert.is_false(ok)
    assert.equal("decode", err.kind)
    assert.equal(7, mp.loads(bytes, { functions = true })(3, 4))
  end)

  it("refuse damaged bytes", function()
    for _, bytes in ipairs { "", "\xff", mp.dumps({ 1, 2, 3 }):sub(1, -2),
      "\x9b\xff\xff\xff\xff\xff\xff\xff\xff" } do
      local ok, err = pcall(mp.loads, bytes)
      assert.is_false(ok)
      assert.equal("decode", err.kind)
    end
    local ok, err = pcall(mp.loads, 5)
    assert.is_false(ok)
    assert.equal("argument", err.kind)
  end)
end)

describe("200 workers", function()
  it("share the work of two processors", function()
    assert.equal("true\ntrue\n", script.output([[
      local pool <close> = mp.Pool(200)
      local results = pool:map(function(x) return x * x end, mp.range(20000))
      local right = results.n == 20000
      for i = 1, 20000 do right = right and results[i] == i * i end
      print(right)
      local pids, n = {}, 0
      for _, pid in ipairs(pool:map(function() mp.sleep(1) return mp.getpid() end, mp.range(200), 1)) do
        if not pids[pid] then n = n + 1 end
        pids[pid] = true
      end
      print(n > 100)
    ]]))
  end)
end)
