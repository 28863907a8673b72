-- Metatables, classes and __reduce.
local t = ...
local enc, dec, there, far = t.enc, t.dec, t.there, t.far

local Point = {}
Point.__index = Point
function Point.new(x) return setmetatable({ x = x }, Point) end
function Point:double() return self.x * 2 end

t.case("an object comes back with the very metatable it left with", function()
  local p = there(Point.new(3))
  assert(getmetatable(p) == Point and p.x == 3 and p:double() == 6)
  local q, r = there(Point.new(1), { Point.new(2) })
  assert(getmetatable(q) == Point and getmetatable(r[1]) == Point)
end)

t.case("through another process and back", function()
  local bytes = far([[
    local t, bytes = ...
    local p = t.dec("f", bytes)
    assert(p:double() == 10)
    p.x = p.x + 1
    return (t.enc("f", p))]], enc("f", Point.new(5)))
  local p = dec("f", bytes)
  assert(getmetatable(p) == Point and p.x == 6)
end)

t.case("made there with a class from here, it comes back with ours", function()
  local function make(x) return Point.new(x) end
  local bytes = far("local t, bytes = ... return (t.enc('f', t.dec('f', bytes)(7)))", enc("f", make))
  local p = dec("f", bytes)
  assert(getmetatable(p) == Point and p.x == 7)
end)

t.case("the same class over several messages is one class there", function()
  local a, b = enc("f", Point.new(1)), enc("f", Point.new(2))
  local same = far([[
    local t, a, b = ...
    return tostring(getmetatable(t.dec("f", a)) == getmetatable(t.dec("f", b)))]], a, b)
  assert(same == "true")
end)

t.case("a class of the other process's own goes by value, and is one here", function()
  local a = far([[
    local t = ...
    Own = { __index = { kind = "own" }, __name = "Own" }
    return (t.enc("f", setmetatable({ 1 }, Own)))]])
  local b = far("local t = ... return (t.enc('f', { setmetatable({ 2 }, Own) }))")
  local p, q = dec("f", a), dec("f", b)[1]
  assert(getmetatable(p) == getmetatable(q) and p.kind == "own" and q[1] == 2)
end)

t.case("classes known by adoption before a fork", function()
  -- What a fork would do: both sides hold the class under the id given before.
  local Shape = { __index = {} }
  local function f() return setmetatable({}, Shape) end
  t.adopt(f)
  assert(getmetatable(there(f())) == Shape)
  local holder = { deep = { { list = { Point } } } }
  local anonymous = setmetatable({}, { __add = function(a) return a end })
  t.adopt(function() return holder, anonymous end)
  assert(getmetatable(there(anonymous)) == getmetatable(anonymous))
end)

t.case("a definition that is known does not touch globals", function()
  local Reader = { __index = {} }
  function Reader.__index.read() return setting_of_class end -- luacheck: ignore
  _G.setting_of_class = "host"
  local bytes = enc("f", setmetatable({}, Reader))
  _G.setting_of_class = nil
  dec("f", bytes)
  assert(rawget(_G, "setting_of_class") == nil)
end)

t.case("inheritance: a class with a metatable", function()
  local Base = { __index = {} }
  function Base.__index.hello() return "hello" end
  local Derived = setmetatable({}, Base)
  Derived.__index = Derived
  local o = setmetatable({}, Derived)
  local hello = far([[
    local t, bytes = ...
    local o = t.dec("f", bytes)
    return o.hello()]], enc("f", o))
  assert(hello == "hello")
  assert(getmetatable(there(o)) == Derived)
end)

t.case("a metatable whose function refers to the object", function()
  local o = {}
  setmetatable(o, { __call = function() return o end, __index = o })
  local name = far([[
    local t, bytes = ...
    local o = t.dec("f", bytes)
    return tostring(o() == o and getmetatable(o).__index == o)]], enc("f", o))
  assert(name == "true")
end)

t.case("arrays and typed arrays with a metatable, shared and cyclic objects", function()
  local list = setmetatable({ 1.5, 2.5, 3.5, 4.5 }, Point)
  local u = there(list)
  assert(#u == 4 and u[4] == 4.5 and getmetatable(u) == Point)
  local o = Point.new(1)
  o.self, o.again = o, { o }
  u = there(o)
  assert(u.self == u and u.again[1] == u and getmetatable(u) == Point)
  u = there(setmetatable({}, Point))
  assert(next(u) == nil and getmetatable(u) == Point)
end)

t.case("an object as key, and as metatable of another", function()
  local key = Point.new(1)
  local u = there { [key] = "v" }
  local k = next(u)
  assert(getmetatable(k) == Point and k.x == 1)
end)

t.case("a class as a value is the same class", function()
  assert(there(Point) == Point)
  local class, object = there(Point, Point.new(1))
  assert(class == Point and getmetatable(object) == Point)
end)

t.case("a class first met as a plain value, then as a metatable", function()
  local mt = { data = 1 }
  local a, b = there(mt, setmetatable({}, mt))
  assert(getmetatable(b) == mt and a == mt)
end)

t.case("data whose keys begin with underscores is data", function()
  local record = { __typename = "User", __v = 3 }
  local u = there(record)
  assert(u ~= record and u.__typename == "User")
end)

t.case("metatables of modules go by name", function()
  local Class = { __index = {} }
  package.loaded.shapes = { Class = Class }
  t.refresh_names()
  local bytes = enc("f", setmetatable({ 1 }, Class))
  assert(#bytes < 60, #bytes)
  assert(getmetatable(dec("f", bytes)) == Class)
  t.unsent("", "cannot write a table with the shapes.Class into plain data", "(metatable)", setmetatable({ 1 }, Class))
  package.loaded.shapes = nil
  t.refresh_names()
end)

t.case("plain data may have metatables that are plain data", function()
  local u = dec("", enc("", setmetatable({ 1 }, { __index = { kind = "x" } })))
  assert(u.kind == "x" and u[1] == 1)
  t.unsent("", "cannot write a function into plain data", "(metatable).__index",
    setmetatable({}, { __index = function() end }))
end)

t.case("__reduce", function()
  local calls = 0
  local mt = {}
  mt.__reduce = function(o)
    calls = calls + 1
    return function(a, b, c) return { built = { a, b, c } } end, o.v, nil, "c"
  end
  local o = setmetatable({ v = 5 }, mt)
  local u = there(o)
  assert(u.built[1] == 5 and u.built[2] == nil and u.built[3] == "c" and getmetatable(u) == nil)
  assert(calls == 1)
  u = there { o, { o }, o }
  assert(u[1] == u[2][1] and u[1] == u[3] and calls == 2)
  u = there(setmetatable({}, { __reduce = function() return math.max, 3, 4 end }))
  assert(u == 4)
end)

t.case("__reduce: its arguments may be shared with the rest of the message", function()
  local part = { 1 }
  local o = setmetatable({}, { __reduce = function() return function(p) return { p } end, part end })
  local u = there { part, o, o }
  assert(u[2] == u[3] and u[2][1] == u[1])
end)

t.case("__reduce: its errors pass as they are, those of what it gave refuse the object", function()
  local problem = { "problem" }
  local ok, err = pcall(enc, "f", setmetatable({}, { __reduce = function() error(problem) end }))
  assert(not ok and err == problem)
  local o = setmetatable({}, { __reduce = function() return function() error("cannot be built") end end })
  t.refused("f", enc("f", o), "cannot be built")
end)

t.case("__reduce: where nothing may run, what would build the object comes", function()
  local o = setmetatable({}, { __reduce = function() return function() error("ran") end, 7, "x" end })
  local list = dec("fi", enc("f", { o, o }))
  assert(list[1] == list[2] and type(list[1][1]) == "function")
  assert(list[1][2] == 7 and list[1][3] == "x" and #list[1] == 3)
end)

t.case("__reduce: what is no function", function()
  t.unsent("f", "__reduce gave no function but a nil", "", setmetatable({}, { __reduce = function() end }))
  t.unsent("f", "cannot send it: it is mine", "",
    setmetatable({}, { __reduce = function() return nil, "it is mine" end }))
  t.unsent("f", "__reduce gave no function but a number", "[2]",
    { 1, setmetatable({}, { __reduce = function() return 1 end }) })
  t.unsent("", "cannot write an object with __reduce into plain data", "",
    setmetatable({}, { __reduce = function() return print end }))
  t.unsent("f", "cannot send a thread", "(argument 1 of __reduce)",
    setmetatable({}, { __reduce = function() return print, coroutine.create(print) end }))
end)

t.case("__reduce: an argument that refers to the object itself cannot be built", function()
  local o
  o = setmetatable({}, { __reduce = function() return print, { o } end })
  t.refused("f", enc("f", { o, o }), "a reference to a value that is not complete")
end)

t.case("userdata with __reduce", function()
  local mt = getmetatable(io.stdout)
  mt.__reduce = function() return io.tmpfile end
  local f = io.tmpfile()
  local u = there { f, f }
  mt.__reduce = nil
  assert(io.type(u[1]) == "file" and u[1] == u[2] and u[1] ~= f)
  u[1]:close()
  f:close()
end)
