-- P1: a Lock that nobody else wants, and one that two processes want all the time.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ALONE, TOGETHER = 300000, 100000

local lock, entered = mp.Lock(), mp.Value("i8")

local function work(times)
  for _ = 1, times do
    lock:acquire()
    lock:release()
  end
  return times
end

local function work_and_count(times)
  entered:add(work(times))
end

local function together()
  local processes = {}
  for i = 1, bench.workers do
    processes[i] = mp.Process{ target = work_and_count, args = { TOGETHER } }
    processes[i]:start()
  end
  for _, process in ipairs(processes) do process:join() end
end

local alone, times = bench.time(work, ALONE)
local contended = bench.time(together)
bench.report({ alone = alone / ALONE, contended = contended / (bench.workers * TOGETHER) },
  times + entered.value)
