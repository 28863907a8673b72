-- Taking in what has come, dispatching callbacks, waiting: what all blocking calls
-- are made of. They wait in one place, `pause`, and everything around it is Lua, so
-- that it can yield.
--
-- Invariants: callbacks run here only, one at a time, each exactly once; a wait
-- inside a callback takes results in and leaves other callbacks for later.

local core, require = ...

local dispatch = require "moonpool.dispatch"
local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local later = require "moonpool.later"
local progress = require "moonpool.progress"
local texts = require "moonpool.texts"

local journal = later "moonpool.journal"

local pump = {
  pools = setmetatable({}, { __mode = "k" }), -- of this process, and those inherited by a fork
}

local BATCH = 4096 -- events taken in before callbacks have their turn
local SPARE = 4    -- calls that there is room for behind a callback's own

-- ---- callbacks ----

local function callback_failed(pool, err)
  if errors.is_interrupt(err) then
    errors.throw(err)
  end
  pool.callback_errors = pool.callback_errors + 1
  if pool.first_callback_error == nil then
    pool.first_callback_error = { err }
  end
  local handler = pool.on_callback_error
  if handler and pcall(handler, err) then
    return
  end
  warn("moonpool: error in a callback: ", tostring(err))
end

-- Makes Lua have room for some calls from here, or raises "not enough memory".
local function spare(calls)
  if calls > 0 then
    spare(calls - 1)
  end
  return calls
end

-- Takes the first one from the queue, as late as can be: one that an interrupt or a want of
-- memory has kept from being called is called later.
local function begin(pool, callback, ...)
  local queue = pool.callbacks
  spare(SPARE)
  local first = queue.first
  queue[first].pool = false
  queue.first = first + 1
  queue[first] = nil
  if callback then
    return callback(...)
  end
end

local function call_back(pool, result)
  local ok, err
  local first = pool.callbacks.first
  if result.error ~= nil then
    ok, err = pcall(begin, pool, result.error_callback, result.error)
  elseif result.callback then
    ok, err = pcall(begin, pool, result.callback, core.values(result.call))
  else
    ok, err = pcall(begin, pool)
  end
  if not ok and pool.callbacks.first == first then
    errors.throw(err) -- it was not called
  elseif not ok then
    callback_failed(pool, err)
  end
end

--- Counts a call whose end is waited for, and one that was given up.
function pump.expect(pool, result)
  core.count(result.call)
  if result.callback or result.error_callback then
    core.attend(result.call)
    pool.listening = pool.listening + 1
    result.listens = true
  end
end

function pump.forget(pool, result)
  core.uncount(result.call)
  if result.listens then
    result.listens = false
    pool.listening = pool.listening - 1
  end
end

--- Nothing of the call is wanted any more.
function pump.release(pool, call)
  core.release(call)
  if progress.active then
    progress.look(pool, pump.turn)
  end
end

-- No interrupt may come between a result's leaving the core and its being ready; and it
-- leaves the core last, so that one for which memory was short is settled the next time. The
-- first error that ends the pool, if there is one.
local function settle_all(pool)
  local unfit
  local result = core.finished(pool.core)
  while result do
    pump.forget(pool, result)
    if not result.done then
      result:_finish()
    end
    if pump.is_unfit(result.error) then
      unfit = unfit or result.error
    end
    if result.callback or result.error_callback then
      local queue = pool.callbacks
      queue[queue.last + 1] = result
      queue.last = queue.last + 1
    end
    core.settled(pool.core)
    result = core.finished(pool.core)
  end
  return unfit
end

-- Results that are over become ready at once; their callbacks run unless one is
-- running already.
local function settle_finished(pool)
  if pool.state == "joined" then
    return -- by a callback
  end
  while core.has_finished(pool.core) do
    pump.check_fit(pool, core.undisturbed(settle_all, pool))
  end
end

local function call_all_back(pool)
  local queue = pool.callbacks
  while queue.first <= queue.last do
    call_back(pool, queue[queue.first])
    settle_finished(pool)
  end
end

local function run_callbacks(pool)
  if pool.callbacks.first <= pool.callbacks.last and not pool.dispatching then
    dispatch.run(pool, call_all_back)
  end
end

-- ---- trouble ----

-- No worker can do anything: what is outstanding fails with `err`, and so does all to come.
local function break_pool(pool, err)
  pool.broken = pool.broken or err
  pool:terminate()
end

--- True for the error of an item that met a worker whose initializer had failed.
function pump.is_unfit(err)
  return errors.is(err) and err.kind == "initializer"
end

--- Breaks the pool if `err`, which an item ended with, says that its initializer failed.
function pump.check_fit(pool, err)
  if pump.is_unfit(err) then
    break_pool(pool, err)
  end
end

-- A fork is refused, for the nth of the first workers or (0) a later one. A call that starts the
-- first ones ends by that; later ones are tried again, and the others go on.
local function meet_refusal(pool, errno, nth, text)
  if nth > 0 and core.outstanding(pool.core) > 0 and not pool.regrouped then
    break_pool(pool, errors.new("system",
      ("cannot start worker %d of %d: fork: %s"):format(nth, pool.processes, text),
      { errno = errno }))
  elseif not pool.warned_of_births then
    pool.warned_of_births = true
    warn(("moonpool: a worker cannot be started: fork: %s; trying again"):format(text))
  end
end

local function meet_stillbirths(pool, failures, status, reason)
  if reason ~= "" then
    break_pool(pool, errors.new("system", "workers cannot be started: " .. reason))
    return
  end
  local signal, code = status & 0x7f, status >> 8 & 0xff
  local fate = signal ~= 0 and ("signal %d"):format(signal) or ("exit code %d"):format(code)
  break_pool(pool, errors.new(pool.initializer and "initializer" or "worker_lost",
    ("%d workers in a row died before they were ready for work, the last by %s"):format(failures,
      fate),
    { signal = signal ~= 0 and signal or nil, exitcode = signal == 0 and code or nil }))
end

local function meet_trouble(pool)
  local errno, count, what, reason = core.trouble(pool.core)
  if errno == nil then
    return
  elseif errno ~= 0 then
    meet_refusal(pool, errno, count, what)
  else
    meet_stillbirths(pool, count, what, reason)
  end
  core.met_trouble(pool.core)
end

--- What tasks took along is kept for as long as there are some.
function pump.release_sent()
  for pool in pairs(pump.pools) do
    if pool.state ~= "joined" and core.owns(pool.core) and core.outstanding(pool.core) > 0 then
      return
    end
  end
  freight.release()
end

-- Iterators that the program has dropped are no longer read.
local function release_dropped(pool)
  local dropped = pool.dropped
  pool.dropped = nil
  while dropped do
    dropped[1]:close()
    dropped = dropped[2]
  end
end

-- ---- the three that others use ----

--- Takes in what has come and runs callbacks; true if anything had come. What an error
--- out of it has left undone (an interrupt, which may come at any place) the next one does.
function pump.turn(pool)
  if pool.state == "joined" then
    return false
  end
  if pool.dropped then
    release_dropped(pool)
  end
  local again = pool.unfinished == true and not pool.dispatching
  pool.unfinished = true
  local happened = core.take(pool.core, BATCH) > 0 or again
  if happened then
    settle_finished(pool)
    meet_trouble(pool)
    if pool.journals then
      journal.tend(pool)
    end
    texts.give(pool, callback_failed)
    progress.tell(pool, callback_failed)
    run_callbacks(pool)
    if freight.pooled then
      pump.release_sent()
    end
  end
  if pool.journals and not happened then
    journal.tend(pool)
  end
  pool.unfinished = pool.dispatching == true
  if progress.active then
    progress.look(pool, pump.turn)
  end
  return happened
end

--- Gives what tasks have said at once, though this be within a callback: the pool ends.
function pump.give_texts(pool)
  texts.give(pool, callback_failed, true)
end

--- Sleeps until something has come, the deadline passes, or a signal comes.
--- `lazy`: only what cannot wait is of interest.
function pump.pause(pool, deadline, lazy)
  if progress.active then
    deadline = progress.deadline(deadline)
  end
  if pool.journals then
    return journal.pause(pool, deadline)
  end
  return core.wait(pool.core, deadline, lazy)
end

--- Turns until the call is over: true; false when the deadline has passed before.
function pump.until_over(pool, result, deadline, lazy)
  while not result.done do
    if not pump.turn(pool) and not result.done then
      if deadline and core.monotonic() >= deadline then
        return false
      end
      pump.pause(pool, deadline, lazy)
    end
  end
  return true
end

--- The deadline that lies `timeout` seconds from now, nil for none.
function pump.deadline(timeout)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout ~= timeout) then
    errors.raise("argument",
      ("the timeout must be a number of seconds, got %s"):format(errors.describe(timeout)))
  end
  return timeout and core.monotonic() + math.max(timeout, 0)
end

return pump
