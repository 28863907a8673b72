-- W9: what memory an idle worker of a pool of 8 takes for itself, shared pages by its share (PSS).
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local WORKERS, SETTLE = 8, 0.3

local function pss(pid)
  for line in io.lines(("/proc/%d/smaps_rollup"):format(pid)) do
    local kib = line:match("^Pss:%s+(%d+) kB")
    if kib then return tonumber(kib) / 1024 end
  end
end

local pool <close> = mp.Pool(WORKERS)
local sum = bench.sum(pool:map(bench.square, mp.range(1000)))
local pids = pool:everywhere(mp.getpid)
mp.sleep(SETTLE)
local sizes = {}
for i, pid in ipairs(pids) do sizes[i] = pss(pid) end
bench.report({ worker = bench.quantile(sizes, 0.5) }, sum)
