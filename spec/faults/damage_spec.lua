-- timeout: 280
-- Damaged bytes: in dumps, in results that lie there, in tasks that wait, in what the rings and
-- the pool note of them. They are an error or none; nothing crashes, nothing hangs.
--
-- Bytes of a value carry no checksum, so that another value may come of those.
local fault = require "spec.support.fault"

local FRAME = [[
  local damage = require "spec.support.damage"
  local counts = {}
  local function may(pattern, fates)
    for fate in fates:gmatch("%S+") do
      if not ("|" .. pattern .. "|"):find("|" .. fate .. "|", 1, true) then
        counts[fates] = (counts[fates] or 0) + 1
        return
      end
    end
  end
]]

local function unharmed(body)
  fault.says("\n", FRAME .. body .. " damage.report(counts)")
end

-- Flips bytes [first, first + n) of a region one at a time, while the worker is stopped and
-- three items wait for it.
local function of_tasks(region, first, n, pattern)
  unharmed(([[
    local function stopped(tamper)
      return function(pool, submit)
        local pid = pool:apply(mp.getpid)
        account.signal("STOP", pid)
        submit()
        tamper()
        account.signal("CONT", pid)
      end
    end
    local offsets
    damage.fates(stopped(function() offsets = damage.used(damage.region(%q), %s, %d) end))
    assert(#offsets > 20)
    for i, at in ipairs(offsets) do
      may(%q, damage.fates(stopped(function()
        damage.flip(damage.region(%q), at, i %% 2 == 0 and 0xff or 1 << at %% 8)
      end)))
    end
  ]]):format(region, first, n, pattern, region))
end

-- The same while three results lie there unread; of all bytes, where `every`.
local function of_results(region, first, n, every, pattern)
  unharmed(([[
    local function lying(tamper)
      return function(_, submit)
        submit()
        mp.sleep(0.01)
        tamper()
      end
    end
    local offsets
    damage.fates(lying(function() offsets = damage.used(damage.region(%q), %d, %d, %s) end))
    assert(#offsets > 0)
    for i, at in ipairs(offsets) do
      may(%q, damage.fates(lying(function()
        damage.flip(damage.region(%q), at, i %% 2 == 0 and 0xff or 1 << at %% 8)
      end)))
    end
  ]]):format(region, first, n, every, pattern, region))
end

describe("a dump", function()
  local DUMP = [[
    local secret = "an upvalue"
    local Point = {}
    Point.__index = Point
    function Point:sum() return self.x + self.y end
    local value = { 1, 2.5, "text", { a = { true, false } }, math.huge, -7, 1 << 40,
      f = function(x) return secret .. x end, p = setmetatable({ x = 1, y = 2 }, Point), g = string.rep }
    value.self = value
    local functions = { functions = true }
    local bytes = mp.dumps(value, functions)
    local function met(n, text)
      local ok, err = pcall(mp.loads, text, functions)
      if not ok and (type(err) ~= "table" or err.kind ~= "decode") then
        counts["raised " .. tostring(err)] = n
      end
      if ok and type(err) == "table" and type(err.f) == "function" then pcall(err.f, 1) end
      return ok
    end
  ]]

  it("with a byte flipped gives a value or a decode error", function()
    unharmed(DUMP .. [[
      for at = 1, #bytes do
        for _, mask in ipairs { 1, 2, 4, 8, 16, 32, 64, 128, 255 } do
          met(at, bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ mask) .. bytes:sub(at + 1))
        end
      end
    ]])
  end)

  it("of any other length gives a decode error", function()
    unharmed(DUMP .. [[
      for n = 0, #bytes - 1 do
        if met(n, bytes:sub(1, n)) then counts["taken at " .. n] = 1 end
      end
    ]])
  end)

  it("with a function whose bytecode is damaged gives a decode error", function()
    unharmed([[
      local functions = { functions = true }
      local bytes = mp.dumps(function(a, b) return a * b + #tostring(a) end, functions)
      local from = bytes:find("\27Lua", 1, true)
      for at = from, #bytes - 40 do
        local text = bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 1) .. bytes:sub(at + 1)
        local ok, err = pcall(mp.loads, text, functions)
        if ok or err.kind ~= "decode" then counts["byte " .. at] = 1 end
      end
    ]])
  end)
end)

describe("tasks that wait, with a byte flipped", function()
  it("fail or are done: in the ring", function()
    of_tasks("moonpool", "damage.slots()", 448, "right|decode|worker_lost")
  end)

  -- An argument may become another one, which the task may refuse.
  it("fail or are done: in calls, definitions and arguments", function()
    of_tasks("moonpool-tasks", "0", 16384, "right|decode|worker_lost|other|task")
  end)
end)

-- A damaged state may be none, or another one.
describe("items that have saved a state, with a byte flipped", function()
  local PLACES = [[
    -- Behind their first attempt, whose states and failures nobody has read.
    local function unread(tamper)
      return function(_, submit)
        submit()
        mp.sleep(0.02)
        tamper()
      end
    end
    -- Before their second one.
    local function waiting(tamper)
      return function(pool, submit)
        local pid = pool:apply(mp.getpid)
        submit()
        mp.sleep(0.02)
        account.signal("STOP", pid)
        pool:poll(0)
        tamper()
        account.signal("CONT", pid)
      end
    end
  ]]

  for place, where in pairs {
    unread = { "moonpool-results-1", 0, 8192 }, waiting = { "moonpool-tasks", 0, 16384 },
  } do
    it("fail or are done: " .. place, function()
      unharmed(PLACES .. ([[
        local offsets
        damage.fates(%s(function() offsets = damage.used(damage.region(%q), %d, %d) end), true)
        assert(#offsets > 20)
        for i, at in ipairs(offsets) do
          may("right|decode|worker_lost|other|task", damage.fates(%s(function()
            damage.flip(damage.region(%q), at, i %% 2 == 0 and 0xff or 1 << at %% 8)
          end), true))
        end
      ]]):format(place, where[1], where[2], where[3], place, where[1]))
    end)
  end
end)

describe("results that lie there, with a byte flipped,", function()
  it("fail or arrive", function()
    of_results("moonpool-results-1", 0, 8192, false, "right|decode|worker_lost|other")
  end)
end)

-- The list of errands, the trouble that a nursery tells of and the locks are taken at their word:
-- what comes of those is a pool that cannot start workers, and says so.
describe("what the pool notes for all", function()
  it("may be damaged: whose deaths are told, where the ring begins, who sleeps", function()
    of_results("moonpool", 64, 24, true, "right|decode|worker_lost")
    of_results("moonpool", 192, 8, true, "right|decode|worker_lost")
    of_results("moonpool", 320, 184, true, "right|decode|worker_lost")
    of_results("moonpool", 576, 512, true, "right|decode|worker_lost")
  end)
end)
