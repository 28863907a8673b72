-- Functions by value: code, upvalues, globals.
local t = ...
local enc, dec, there, far = t.enc, t.dec, t.there, t.far

-- Globals of these cases, so that nothing else of this file is one.
local G = _G

t.case("a function without anything", function()
  assert(there(function(x) return x * x end)(7) == 49)
  assert(there(function(...) return select("#", ...) end)(nil, nil) == 2)
  assert(select("#", there(function(...) return ... end)(1, nil, 3)) == 3)
end)

t.case("upvalues of every type, nil too", function()
  local a, b, c, d, e, f <const> = 1, 2.5, "s", { 1, { 2 } }, nil, true
  local g = print
  local u = there(function() return a, b, c, d, e, f, g end)
  local ra, rb, rc, rd, re, rf, rg = u()
  assert(ra == 1 and rb == 2.5 and rc == "s" and rd[2][1] == 2 and re == nil and rf == true and rg == print)
end)

t.case("the first upvalue is itself, not the globals table", function()
  local first = { v = 1 }
  local function f() return first.v end
  assert(there(f)() == 1)
  local nothing -- luacheck: ignore
  local function h() return nothing end
  assert(there(h)() == nil)
end)

t.case("recursion, plain and mutual", function()
  local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
  assert(there(fib)(15) == 610)
  local even, odd
  function even(n) if n == 0 then return true end return odd(n - 1) end
  function odd(n) if n == 0 then return false end return even(n - 1) end
  assert(there(even)(101) == false)
end)

t.case("upvalues shared by functions of one message stay shared", function()
  local n = 0
  local function inc() n = n + 1 return n end
  local function get() return n end
  local i, g = there(inc, get)
  i() i()
  assert(g() == 2 and n == 0)
  local u = there { up = inc, down = function() n = n - 1 end, nested = { get } }
  u.up() u.up() u.down()
  assert(u.nested[1]() == 1)
end)

t.case("shared upvalues in functions that are upvalues", function()
  local n = 0
  local function inc() n = n + 1 end
  local function twice() inc() inc() return n end
  local u = there(twice)
  assert(u() == 2 and u() == 4 and n == 0)
end)

t.case("a table shared by upvalue and argument is one", function()
  local state = { v = 1 }
  local f, s = there(function() return state end, state)
  assert(f() == s and s ~= state)
end)

t.case("one function twice is one function", function()
  local function f() end
  local a, b = there(f, { f })
  assert(a == b[1])
end)

t.case("closures of one prototype share its code", function()
  local function make(i) return function() return i, "some constants that take room", 12345678 end end
  local list = {}
  for i = 1, 100 do list[i] = make(i) end
  local one, all = #enc("f", list[1]), #enc("f", list)
  assert(all < one + 100 * 20, all)
  local u = there(list)
  for i = 1, 100 do assert(u[i]() == i) end
end)

t.case("code found again behind a map that was written in one piece", function()
  local function make(i) return function() return i end end
  local map = {}
  for i = 1, 60 do map["k" .. i] = make(i) end
  local u = there { map, make(61) }
  for i = 1, 60 do assert(u[1]["k" .. i]() == i) end
  assert(u[2]() == 61)
end)

t.case("globals that the code names go along, recursively", function()
  local bytes = far([[
    local t = ...
    function helper(x) return x * factor + deeper(x) end
    function deeper(x) return x + offset.value end
    factor, offset, unused = 10, { value = 1 }, "unused"
    return (t.enc("f", function(x) return helper(x) end))]])
  assert(G.helper == nil and G.factor == nil)
  assert(dec("f", bytes)(2) == 23)
  assert(G.factor == 10 and G.offset.value == 1 and G.unused == nil)
  G.helper, G.deeper, G.factor, G.offset = nil, nil, nil, nil
end)

t.case("globals go once in a message, nil ones not at all", function()
  G.shared_table = { ("x"):rep(1000) }
  local list = {}
  for i = 1, 10 do list[i] = load("return shared_table, missing_one, " .. i) end
  assert(#enc("f", list) < 5000)
  G.shared_table = nil
  dec("f", assert(enc("f", list[1])))
  assert(rawget(G, "missing_one") == nil)
end)

t.case("globals are read and set raw", function()
  setmetatable(G, { __index = function(_, k) error("read " .. k) end, __newindex = function() error("set") end })
  local ok, err = pcall(there, function() return undefined_one end) -- luacheck: ignore
  setmetatable(G, nil)
  assert(ok, err)
end)

t.case("_ENV and _G are the globals table of the other side", function()
  local f, u = there(function() return _ENV end, G)
  assert(f() == G and u == G)
  local env = G
  assert(there(function() return env end)() == G)
end)

t.case("an environment of its own goes by value", function()
  local original = { v = 5, w = { 1 } }
  local function bump(_ENV) return function() v = v + 1 return v, _ENV end end -- luacheck: ignore
  local v, env = there(bump(original))()
  assert(v == 6 and env ~= original and env.v == 6 and env.w[1] == 1 and original.v == 5)
end)

t.case("a global function that is called through a local environment", function()
  far([[
    local t = ...
    function named(n) return n end
    return ""]])
  local bytes = far([[
    local t = ...
    local function f() local _ENV = _ENV return named(4) end
    return (t.enc("f", f))]])
  assert(dec("f", bytes)() == 4)
  G.named = nil
end)

t.case("values by name", function()
  local list = { print, math, math.sin, string.format, io.stdout, io.stderr, io, G, coroutine.wrap, next }
  local u = there(list)
  for i, v in ipairs(list) do assert(u[i] == v, i) end
end)

t.case("more than 255 constants", function()
  local source = { "local t = {}" }
  for i = 1, 400 do source[#source + 1] = ("t[%d] = 'constant %d' .. global_%d"):format(i, i, i % 300) end
  source[#source + 1] = "return t"
  for i = 0, 299 do G["global_" .. i] = "g" .. i end
  local bytes = enc("f", load(table.concat(source, "\n")))
  for i = 0, 299 do G["global_" .. i] = nil end
  local u = dec("f", bytes)()
  assert(u[400] == "constant 400g100" and u[299] == "constant 299g299")
  for i = 0, 299 do G["global_" .. i] = nil end
end)

t.case("200 upvalues", function()
  local source = {}
  for i = 1, 150 do source[#source + 1] = ("local u%d = %d"):format(i, i) end
  source[#source + 1] = "local function f() return 0"
  for i = 1, 150 do source[#source + 1] = (" + u%d"):format(i) end
  source[#source + 1] = " end return f"
  assert(there(load(table.concat(source, "\n"))())() == 150 * 151 // 2)
end)

t.case("methods and nested functions", function()
  local object = { n = 1 }
  function object:add(k) self.n = self.n + k return self end
  function object.make() return function(x) return function() return x + object.n end end end
  local u = there(object)
  assert(u:add(4).n == 5 and u.make()(1)() == 6 and object.n == 1)
end)

t.case("deeply nested closures", function()
  local f = function() return 0 end
  for _ = 1, 3000 do
    local g = f
    f = function() return g end
  end
  local u = there(f)
  for _ = 1, 3000 do u = u() end
  assert(u() == 0)
end)

t.case("errors name file and line", function()
  local f = there(load("local x = 1\nlocal y = x\nerror('here')", "@sweep.lua"))
  local ok, err = pcall(f)
  assert(not ok and err == "sweep.lua:3: here", err)
  f = there(load("local t = ...\nreturn t.field.other", "@sweep.lua"))
  ok, err = pcall(f, {})
  assert(not ok and err:find("sweep.lua:2: attempt to index a nil value (field 'field')", 1, true), err)
end)

t.case("to-be-closed variables, varargs and goto in the code", function()
  local f = there(function(...)
    local log = {}
    do
      local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
    end
    local i = 0
    ::again::
    i = i + 1
    if i < select("#", ...) then goto again end
    return log[1], i
  end)
  local a, b = f(1, 2, 3)
  assert(a == "closed" and b == 3)
end)

t.case("the worker's own globals stay, those inherited or last set are replaced", function()
  far([[
    local t = ...
    inherited, own = 1, 1
    t.begin_globals()
    own = "changed here"
    return ""]])
  G.inherited, G.own = 2, 2
  local bytes = enc("f", function() return inherited, own end) -- luacheck: ignore
  far("local t, bytes = ... t.dec('f', bytes) return ''", bytes)
  local a, b = far("return tostring(inherited), tostring(own)")
  assert(a == "2" and b == "changed here", a .. b)
  G.inherited, G.own = nil, nil
end)

t.case("a message that fails half-way sets no global", function()
  G.half = "half"
  local bytes = enc("f", function() return half end, 1) -- luacheck: ignore
  G.half = nil
  t.refused("f", bytes .. "\xff", "a break")
  assert(rawget(G, "half") == nil)
end)

t.case("damaged code is not loaded", function()
  local bytes = enc("f", function(x) return x + 1 end)
  local at = bytes:find("\27Lua", 1, true)
  for i = at, #bytes - 1 do
    local damaged = bytes:sub(1, i - 1) .. string.char(bytes:byte(i) ~ 4) .. bytes:sub(i + 1)
    local ok = pcall(dec, "f", damaged)
    if i < at + 150 then assert(not ok, "byte " .. i) end
  end
  t.refused("f", (bytes:gsub("\27Lua\x54", "\27Lua\x53")), "a function of another version of Lua")
  t.refused("f", bytes:sub(1, at + 40) .. "\0" .. bytes:sub(at + 42), "a damaged function")
end)

t.case("without functions none are written or read", function()
  local function f() end
  t.unsent("", "cannot write a function into plain data", "", f)
  t.unsent("t", "cannot write a function into plain data", ".a[2]", { a = { 1, f } })
  t.unsent("", "cannot write a function into plain data", "[1]", { print })
  t.unsent("", "cannot send a userdata (FILE*)", "", io.stdout)
  t.refused("", enc("f", f), "a function or another thing of a process at byte")
  t.refused("", enc("f", print), "a function or another thing of a process at byte")
  t.refused("", enc("f", G), "a function or another thing of a process at byte")
end)
