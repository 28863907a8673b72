-- T2: what an idle pool of 8 does: processor time and wake-ups of all its processes, a second.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local WORKERS, SETTLE, WHILE = 8, 0.5, 2
local TICKS = 100 -- of /proc/PID/stat, a second

-- Seconds of processor time, and how often the process has slept.
local function used(pid)
  local stat = io.open(("/proc/%d/stat"):format(pid)):read("a"):match(".*%) (.*)")
  local fields = {}
  for field in stat:gmatch("%S+") do fields[#fields + 1] = field end
  local status = io.open(("/proc/%d/status"):format(pid)):read("a")
  return (fields[12] + fields[13]) / TICKS, tonumber(status:match("\nvoluntary_ctxt_switches:%s+(%d+)"))
end

local function all_used(pids)
  local seconds, sleeps = 0, 0
  for _, pid in ipairs(pids) do
    local s, n = used(pid)
    seconds, sleeps = seconds + s, sleeps + n
  end
  return seconds, sleeps
end

local pool <close> = mp.Pool(WORKERS)
local sum = bench.sum(pool:map(bench.square, mp.range(1000)))
local pids = pool:everywhere(mp.getpid)
pids[#pids + 1] = tonumber(io.open(("/proc/%d/stat"):format(pids[1])):read("a"):match("%) %S (%d+)"))
mp.sleep(SETTLE)
local seconds, sleeps = all_used(pids)
mp.sleep(WHILE)
local seconds_later, sleeps_later = all_used(pids)
bench.report({ cpu = (seconds_later - seconds) / WHILE, wakes = (sleeps_later - sleeps) / WHILE }, sum)
