-- W10: make a pool and map 100 items over a function that refers to 50 MB; then once more, and by
-- how much that takes longer than to encode the function.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local SIZE, ITEMS = 50000000, 100

local data = ("moonpool "):rep(SIZE // 9)
local function look(i)
  return data:byte(i * 1000)
end

local function first()
  local pool = mp.Pool(bench.workers)
  return { pool = pool, results = pool:map(look, mp.range(ITEMS)) }
end

local FUNCTIONS = { functions = true }
mp.dumps(look, FUNCTIONS)
local encode = bench.time(mp.dumps, look, FUNCTIONS)
local seconds, made = bench.time(first)
made.pool:map(look, mp.range(ITEMS))
local again, results = bench.time(made.pool.map, made.pool, look, mp.range(ITEMS))
made.pool:close()
made.pool:join()
bench.report({ first = seconds, again = again / encode },
  bench.sum(made.results) + bench.sum(results))
