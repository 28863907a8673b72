-- timeout: 180
-- Ctrl-C at a terminal: SIGINT to the whole process group. The script stops with its traceback,
-- wherever it is and whatever its workers do; a second one ends it at once; nothing is left.
local mp = require "moonpool"
local script = require "spec.support.script"

-- In the script strike() has SIGINT sent soon, arg[2] times, and the time of the first noted.
local FRAME = [[
  local strike = function()
    local send = "kill -INT -" .. mp.getpid()
    os.execute("(sleep 0.15; date +%s.%N >" .. arg[1] .. "; " .. send ..
      (arg[2] == "2" and "; sleep 0.05; " .. send or "") .. ") >/dev/null 2>&1 &")
  end
  local spin = function() while true do end end
]]

-- The run, and the seconds from the first signal to its end.
local function interrupted(body, program, times)
  local notes = script.temporary()
  local r = script.run(FRAME:gsub("\n", " ") .. body .. " print('went on')",
    { program = program, args = { notes, times or 1 } })
  local took = mp.time() - assert(tonumber(script.read(notes)), r.errors)
  os.remove(notes)
  assert.is_nil(r.output:find("went on", 1, true), "went on")
  assert.is_true(script.left_nothing(r))
  return r, took
end

local PLACES = {
  ["map"] = "local pool = mp.Pool(2) strike() pool:map(mp.sleep, { 100, 100 })",
  ["get"] = "local pool = mp.Pool(2) strike() pool:apply_async(mp.sleep, { 100 }):get()",
  ["join"] = "local pool = mp.Pool(2) pool:apply_async(mp.sleep, { 100 }) pool:close() strike() pool:join()",
  ["imap"] = "local pool = mp.Pool(2) strike() for _ in pool:imap(mp.sleep, { 100, 100 }) do end",
  ["a callback"] = "local pool = mp.Pool(2) strike() pool:apply_async(math.abs, { 1 }, spin):wait() pool:wait()",
  ["a loop of its own"] = "local pool = mp.Pool(2) pool:map(math.abs, { 1 }) strike() spin()",
  ["a map whose workers loop"] = "local pool = mp.Pool(2) strike() pool:map(spin, { 1, 2 })",
  ["a map whose workers catch all errors"] =
    "local pool = mp.Pool(2) strike() pool:map(function() while true do pcall(spin) end end, { 1, 2 })",
  ["a <close> block"] = "do local pool <close> = mp.Pool(2) strike() pool:map(spin, { 1, 2 }) end",
  ["a coroutine"] = "local pool = mp.Pool(2) strike() coroutine.wrap(function() pool:map(spin, { 1 }) end)()",
  ["a pool in a worker"] =
    "local pool = mp.Pool(1) strike() pool:apply(function() mp.Pool(2):map(spin, { 1, 2 }) end)",
  ["the start of pools"] =
    "strike() while true do local pool <close> = mp.Pool(2) pool:map(math.abs, { 1, 2 }) end",
}

script.each_program(function(program)
  describe("Ctrl-C in " .. program .. " in", function()
    for place, body in pairs(PLACES) do
      it(place .. " stops it with its traceback", function()
        local r, took = interrupted(body, program)
        assert.is_true(r.code == 1 or r.signal == 2, tostring(r.code))
        assert.matches("interrupted!", r.errors)
        assert.matches("stack traceback:", r.errors)
        assert.matches(r.path, r.errors, 1, true)
        -- A tenth of a second is promised; the machine may be busy.
        assert.is_true(took < 3, took)
      end)
    end
  end)

  describe("Ctrl-C twice in " .. program .. " in", function()
    for place, body in pairs(PLACES) do
      it(place .. " ends it, and nothing is left", function()
        local _, took = interrupted("pcall(function() " .. body .. " end) while true do end", program, 2)
        assert.is_true(took < 3, took)
      end)
    end
  end)
end)
