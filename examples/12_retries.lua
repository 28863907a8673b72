-- A function that fails now and then, as what asks a network does: tried again, a little later
-- each time, and for at most so long.
--
-- The failures here are made up: an item notes in a file how often it was tried.

local mp = require "moonpool"

local directory = os.tmpname()
os.remove(directory)
os.execute("mkdir " .. directory)

-- How often this has been called for the item, this time included.
local function tried(item)
  local file <close> = assert(io.open(directory .. "/" .. item, "a+"))
  file:write("x")
  file:flush()
  file:seek("set")
  return #file:read("a")
end

local function fetch(item)
  local attempt = tried(item)
  if item % 4 == 0 and attempt < 3 then
    error("no answer")           -- comes back at the third attempt
  elseif item == 6 and attempt == 1 then
    mp.sleep(60)                 -- hangs once: the time limit ends it
  elseif item == 7 and attempt == 1 then
    os.exit(1)                   -- takes its worker with it once
  elseif item == 9 then
    error("no such page")        -- never works
  end
  return "page " .. item
end

do
  local pool <close> = mp.Pool(2)
  local pages = pool:map(fetch, mp.range(10), {
    retries = 3,
    retry_delay = 0.01, -- seconds, then 0.02, 0.04
    timeout = 0.5,
    on_error = "collect",
  })
  for i = 1, pages.n do
    local err = pages.errors[i]
    print(i, pages[i] or ("%s after %d attempts: %s"):format(err.kind, err.attempt,
      err.message:match("[^:]*$")))
  end
  local stats = pool:stats()
  print(("%d items: %d done, %d failed, %d times tried again, %d workers lost"):format(stats.items,
    stats.done, stats.failed, stats.retried, stats.lost_workers))
end
os.execute("rm -r " .. directory)
