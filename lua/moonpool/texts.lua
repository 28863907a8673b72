-- What tasks print and log, on its way to the functions that a pool was given for it; and what
-- workers answer that were asked where they are, into pool.answers by their numbers.
--
-- Invariants: each line is given once, in the order in which its worker wrote it, inside
-- Moonpool's calls and never within a callback, but for those that are left at the end of a
-- pool that a callback ends.

local core = ...

local texts = {}

local function give_lines(pool, give, text, index, worker, result, failed)
  if text:sub(-1) ~= "\n" then
    text = text .. "\n"
  end
  for line in text:gmatch("(.-)\n") do
    local ok, err
    if pool.attributes then
      ok, err = pcall(give, line, index, worker, result)
    else
      ok, err = pcall(give, line, index, worker)
    end
    if not ok then
      failed(pool, err)
    end
  end
end

local function give_all(pool, list, failed)
  for i = 1, #list, 4 do
    local text, index, number = list[i], list[i + 1] or nil, list[i + 2]
    local worker = ("PoolWorker-%d"):format(math.abs(number))
    if index == "answer" then
      pool.answers = pool.answers or {}
      pool.answers[number] = text
    elseif number > 0 then
      give_lines(pool, pool.output, text, index, worker, list[i + 3], failed)
    else
      local ok, err = pcall(pool.log, text, index, worker)
      if not ok then
        failed(pool, err)
      end
    end
  end
end

--- Gives what has come to the pool's output and log. `failed(pool, err)` gets the errors of
--- these. `now`: within a callback, too.
function texts.give(pool, failed, now)
  local within = pool.dispatching
  if within and not now then
    return
  end
  local list = core.texts(pool.core)
  while list do
    pool.dispatching = true
    give_all(pool, list, failed)
    pool.dispatching = within
    list = pool.state ~= "joined" and core.texts(pool.core)
  end
end

return texts
