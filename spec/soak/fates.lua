-- What each item of a soak does, and what must come of it: a function of a salt and the
-- item's index alone, known to the worker that runs it and to the model that checks it.
local fates = {}

-- The upper bounds, in thousandths, of what a hash below them stands for.
local TABLE = {
  { 700, "value" }, { 760, "nothing" }, { 800, "several" }, { 850, "sleep" }, { 900, "large" },
  { 950, "error" }, { 965, "thread" }, { 975, "kill" }, { 985, "exit" }, { 993, "print" },
  { 996, "spin" }, { 998, "coroutine" }, { 1000, "stubborn" },
}

-- Those that end only by a limit of time.
local ENDLESS = { spin = true, coroutine = true, stubborn = true }

-- What they fail with.
local KINDS = {
  error = "task", thread = "encode", kill = "worker_lost", exit = "worker_lost",
  spin = "timeout", coroutine = "timeout", stubborn = "timeout",
}

local function mix(salt, i)
  local z = (salt * 0x9E3779B97F4A7C15 + i) ~ 0x5851F42D4C957F2D
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

local function number(salt, i)
  return mix(salt, i + 1000003) % 1000000
end

--- The name of what item `i` does. `limited`: its call has a limit of time.
function fates.of(salt, i, limited)
  local h = mix(salt, i) % 1000
  for _, row in ipairs(TABLE) do
    if h < row[1] then
      return ENDLESS[row[2]] and not limited and "value" or row[2]
    end
  end
end

--- The kind of the error that this fate ends with, nil where it succeeds.
function fates.kind(fate)
  return KINDS[fate]
end

local function spin()
  while true do end
end

local ACTS = {
  value = function(n) return n end,
  nothing = function() end,
  several = function(n) return n, n + 1, nil end,
  sleep = function(n)
    require "moonpool".sleep(n % 5 / 1000)
    return n
  end,
  large = function(n) return ("x"):rep(n % 300000) end,
  error = function(n) error(n) end,
  thread = function() return coroutine.create(print) end,
  kill = function()
    os.execute("kill -9 " .. require "moonpool".getpid())
    spin()
  end,
  exit = function(n) os.exit(n % 4) end,
  print = function(n)
    print(n)
    return n
  end,
  spin = spin,
  coroutine = function() coroutine.wrap(spin)() end,
  stubborn = function()
    while true do pcall(spin) end
  end,
}

--- What the workers run.
function fates.run(salt, i, limited)
  return ACTS[fates.of(salt, i, limited)](number(salt, i))
end

--- Whether these values are what a fate that succeeds returns.
function fates.fits(salt, i, fate, first, ...)
  local n = number(salt, i)
  local rest = select("#", ...)
  if fate == "nothing" then
    return first == nil
  elseif fate == "several" then
    return first == n and (rest == 0 or (rest == 2 and (...) == n + 1))
  elseif fate == "large" then
    return first == ("x"):rep(n % 300000)
  end
  return first == n and rest == 0
end

return fates
