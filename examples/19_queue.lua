-- A producer and consumers: numbers go through a queue that holds five at most, so that the producer
-- is never far ahead, and what is found comes back through another one.

local mp = require "moonpool"

local CONSUMERS, UPTO = 3, 60

local jobs, found = mp.Queue(5), mp.Queue()

local function is_prime(n)
  for d = 2, math.floor(math.sqrt(n)) do
    if n % d == 0 then
      return false
    end
  end
  return n > 1
end

local function consume()
  for n in function() return jobs:get() end do -- nil ends it
    if is_prime(n) then
      found:put(n)
    end
  end
end

local function produce()
  for n = 1, UPTO do
    jobs:put(n)
  end
  for _ = 1, CONSUMERS do
    jobs:put(nil)
  end
end

local processes = { mp.Process{ target = produce, name = "producer" } }
for i = 1, CONSUMERS do
  processes[i + 1] = mp.Process{ target = consume, name = "consumer " .. i }
end
for _, process in ipairs(processes) do
  process:start()
end
for _, process in ipairs(processes) do
  process:join()
  print(process.name .. " ended with " .. process.exitcode)
end

local primes = {}
while not found:empty() do -- what was put outlives who has put it
  primes[#primes + 1] = found:get()
end
table.sort(primes)
print(table.concat(primes, " "))
