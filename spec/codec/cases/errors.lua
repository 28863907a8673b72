-- What cannot be sent: messages and paths.
local t = ...
local unsent = t.unsent

local thread = coroutine.create(print)

t.case("at the root, and which value it was", function()
  unsent("f", "cannot send a thread", "", thread)
  local file = io.tmpfile()
  unsent("f", "cannot send a userdata (FILE*)", "", file)
  file:close()
  unsent("f", "cannot send a userdata (FILE*)", "", file)
  local _, _, _, which = t.enc("f", 1, {}, { thread }, 4)
  assert(which == 3)
  _, _, _, which = t.enc("", 1, print)
  assert(which == 2)
end)

t.case("paths through tables", function()
  local cases = {
    { ".a", { a = thread } },
    { "[3]", { 1, 2, thread } },
    { ".a[2].b", { a = { 1, { b = thread } } } },
    { "[\"odd key\"]", { ["odd key"] = thread } },
    { "[\"\"]", { [""] = thread } },
    { "[\"1a\"]", { ["1a"] = thread } },
    { "[\"a\\010\\255\\034\"]", { ["a\n\255\""] = thread } },
    { "[1.5]", { [1.5] = thread } },
    { "[-7]", { [-7] = thread } },
    { "[true]", { [true] = thread } },
    { "[table]", { [{}] = thread } },
    { "(key)", { [thread] = 1 } },
    { "(key).x", { [{ x = thread }] = 1 } },
    { ".a(key)", { a = { [thread] = 1 } } },
    { "(metatable).__index", setmetatable({}, { __index = thread }) },
  }
  for _, case in ipairs(cases) do unsent("f", "cannot send a thread", case[1], case[2]) end
  local shared = {}
  unsent("f", "cannot send a thread", "[3].x", { shared, shared, { x = thread } })
end)

t.case("long and deep paths are cut", function()
  local deep = { thread }
  for _ = 1, 100000 do deep = { deep } end
  local _, _, path = t.enc("", deep)
  assert(#path < 420 and path:find("^%[1%]%[1%]") and path:find("%.%.%.$"), path)
  _, _, path = t.enc("", { [("k"):rep(1000)] = thread })
  assert(#path < 80, path)
end)

-- Names of files in paths are those of the chunks.
local function run(source)
  return assert(load(source, "@sweep.lua"))(thread)
end

t.case("paths through functions", function()
  unsent("f", "cannot send a thread", "upvalue config.log of the function at sweep.lua:2", run [[
    local config = { log = ... }
    return function() return config end]])
  unsent("f", "cannot send a thread", "upvalue inner of helper (sweep.lua:2)", { { run [[
    local inner = ...
    local function helper() return inner end
    return function() return helper() end]] } })
  unsent("f", "cannot send a thread", "global settings.x[2] of the function at sweep.lua:2", run [[
    settings = { x = { 1, ... } }
    return function() return settings end]])
  _G.settings = nil
  unsent("f", "cannot send a thread", "upvalue u of score (sweep.lua:2)", run [[
    local u = ...
    function score() return u end
    return score]])
  unsent("f", "cannot send a thread", "upvalue u of score (sweep.lua:2)", run [[
    local u = ...
    function score() return u end
    return function() return score() end]])
  _G.score = nil
end)

t.case("a function held by a local variable of a caller has that name", function()
  local bad = thread
  local function measure() return bad end
  local function pass_on(f)
    local bytes, message, path = t.enc("f", f)
    return bytes, message, path
  end
  local _, message, path = pass_on(measure)
  assert(message == "cannot send a thread")
  assert(path:find("^upvalue bad of measure %(.*errors%.lua:%d+%)$"), path)
end)

t.case("after an error the next message is as if nothing had been", function()
  local a = { 1 }
  t.enc("f", { a, a, thread })
  assert(t.hex(t.enc("f", { a })) == "818101")
end)
