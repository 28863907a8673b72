-- timeout: 240
-- One seed, one digest: for any number of workers, any chunks, with kills, errors and retries.
local mp = require "moonpool"

local ITEMS = 120

-- What item i draws, and whether it fails before that, as files in `directory` say.
local function trouble_in(directory)
  local open, kill, pid, fail, random = io.open, os.execute, mp.getpid, error, math.random
  return function(i)
    local drawn = random(0)
    if directory and i % 40 == 7 then
      local file <close> = open(directory .. "/" .. i, "a+")
      file:write("x")
      file:flush()
      file:seek("set")
      if #file:read("a") == 1 then
        if i % 80 == 7 then kill("kill -9 " .. pid()) end
        fail("once")
      end
    end
    return drawn ~ random(1000000)
  end
end

local function digest(values)
  local sum = 0
  for i = 1, ITEMS do sum = (sum * 31) ~ values[i] end
  return sum
end

local function run(workers, chunksize, troubled)
  local directory
  if troubled then
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
  end
  local pool <close> = mp.Pool(workers)
  local sum = digest(pool:map(trouble_in(directory), mp.range(ITEMS),
    { seed = 99, chunksize = chunksize, retries = troubled and 3 or nil }))
  if directory then os.execute("rm -r " .. directory) end
  return sum
end

describe("a seed gives one digest", function()
  local expected = run(1, 1, false)

  for _, troubled in ipairs { false, true } do
    for _, workers in ipairs { 1, 2, 3, 8 } do
      it(("with %d workers%s"):format(workers, troubled and ", kills and retries" or ""), function()
        for _, chunksize in ipairs { false, 1, 7, 120 } do
          assert.equal(expected, run(workers, chunksize or nil, troubled))
        end
      end)
    end
  end

  for _, method in ipairs { "fork", "spawn", "forkserver" } do
    it(("stopped and resumed, by %s"):format(method), function()
      local f, path = trouble_in(nil), os.tmpname()
      for workers, chunksize in mp.each(pairs { [1] = 7, [2] = 1, [3] = 120, [8] = 2 }) do
        os.remove(path)
        local given = { seed = 99, journal = path, chunksize = chunksize }
        do
          local pool <close> = mp.Pool { processes = workers, start_method = method }
          local loop = pool:imap_unordered(f, mp.range(ITEMS), given)
          for _ = 1, ITEMS // 2 do loop:next() end
          loop:close()
        end
        local pool <close> = mp.Pool { processes = 9 - workers, start_method = method }
        assert.equal(expected, digest(pool:map(f, mp.range(ITEMS), { seed = 99, journal = path })))
        assert.equal(expected, digest(pool:map(f, mp.range(ITEMS), { seed = 99, journal = path })))
      end
      os.remove(path)
    end)
  end
end)
