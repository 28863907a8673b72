-- The option progress: a function that is told how many items of its call are done.
--
-- Invariants: it runs inside Moonpool's calls, never within a callback; it is told each
-- number once, and the last one before its call's result is given. While one listens, the
-- host is called for every result (pool.listening).

local core = ...

local progress = {}

--- From now on `tell(done, total or nil)` is called as the call's items finish. `holder`: its
--- AsyncResult or iterator.
function progress.watch(pool, holder, tell, total)
  pool.listening = pool.listening + 1
  pool.watched[#pool.watched + 1] = { holder = holder, tell = tell, total = total, told = 0 }
end

local function tell_one(pool, watched, failed)
  local holder = watched.holder
  local _, done, failures = core.counts(holder.call)
  if done + failures > watched.told then
    watched.told = done + failures
    local ok, err = pcall(watched.tell, watched.told, watched.total or core.total(holder.call))
    if not ok then
      failed(pool, err)
    end
  end
  return holder.done or core.over(holder.call)
end

--- Tells of what has come. `failed(pool, err)` gets the errors of these functions.
function progress.tell(pool, failed)
  if pool.dispatching or #pool.watched == 0 then
    return
  end
  pool.dispatching = true
  local going = {}
  for _, watched in ipairs(pool.watched) do
    if tell_one(pool, watched, failed) then
      pool.listening = pool.listening - 1
    else
      going[#going + 1] = watched
    end
  end
  pool.watched = going
  pool.dispatching = false
end

return progress
