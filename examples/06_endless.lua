-- An input without an end.
--
-- `pool:imap_unordered` takes items only as results are used up, so its input may go on for ever:
-- here the odd numbers from a thousand million upwards, which workers test for being prime. Leaving
-- the loop takes back what was still queued, and the pool is free for other work.

local mp = require "moonpool"

local function odd_numbers(first)
  local n = first - 2
  return function()
    n = n + 2
    return n
  end
end

local function is_prime(n)
  for divisor = 3, math.floor(math.sqrt(n)), 2 do
    if n % divisor == 0 then return n, false end
  end
  return n, true
end

local pool <close> = mp.Pool()
local primes = {}
for _, n, prime in pool:imap_unordered(is_prime, odd_numbers(1000000001)) do
  if prime then table.insert(primes, n) end
  if #primes == 5 then break end
end
table.sort(primes)
print("five primes: " .. table.concat(primes, " "))

local _, prime = pool:apply(is_prime, { 97 })
print("and 97 is " .. (prime and "one too" or "none"))
