-- What tasks print and log, on its way to the functions that a pool was given for it; and what
-- workers answer that were asked where they are, into pool.answers by their numbers.
--
-- Invariants: each line is given once, in the order in which its worker wrote it, inside
-- Moonpool's calls and never within a callback, but for those that are left at the end of a
-- pool that a callback ends. An interrupt costs none but the one that is being given.

local core, require = ...

local dispatch = require "moonpool.dispatch"

local texts = {}

local ENTRY <const> = 4 -- values of one text in the core's list

-- `list.at` is the first value of the text to be given, `list.from` where in it the next line begins.
-- Both go on as late as can be.
local function go_on(list, from)
  local at = list.at or 1
  if from and from <= #list[at] then
    list.from = from
  else
    list.at, list.from = at + ENTRY, nil
  end
end

local function give(list, from, tell, ...)
  go_on(list, from)
  tell(...)
end

local function answer(pool, number, text)
  pool.answers = pool.answers or {}
  pool.answers[number] = text
end

-- A line, a message of the log or an answer: whatever comes next.
local function give_next(pool, list)
  local at, from = list.at or 1, list.from or 1
  local text, index, number, result = list[at], list[at + 1] or nil, list[at + 2], list[at + 3]
  local worker = ("PoolWorker-%d"):format(math.abs(number))
  if index == "answer" then
    give(list, nil, answer, pool, number, text)
  elseif number < 0 then
    give(list, nil, pool.log, text, index, worker)
  else
    local stop = text:find("\n", from, true) or #text + 1
    local line = text:sub(from, stop - 1)
    if pool.attributes then
      give(list, stop + 1, pool.output, line, index, worker, result)
    else
      give(list, stop + 1, pool.output, line, index, worker)
    end
  end
end

local function give_all(pool, failed)
  local list, n = core.texts(pool.core)
  while list do
    while (list.at or 1) <= n do
      local ok, err = pcall(give_next, pool, list)
      if not ok then
        failed(pool, err)
      end
    end
    if pool.state == "joined" then
      return
    end
    list, n = core.texts(pool.core)
    if list and list.at > n then
      core.gave_texts(pool.core)
      list = nil
    end
  end
end

--- Gives what has come to the pool's output and log. `failed(pool, err)` gets the errors of
--- these. `now`: within a callback, too.
function texts.give(pool, failed, now)
  if (now or not pool.dispatching) and core.texts(pool.core) then
    dispatch.run(pool, give_all, failed)
  end
end

return texts
