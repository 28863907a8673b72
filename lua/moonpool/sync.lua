-- Locks, semaphores, events, conditions and barriers that processes share.
--
-- The steps are C (core.*); what waits goes round in Lua between slices of sleep, so that
-- time limits and Ctrl-C come through.

local core, require = ...

local errors = require "moonpool.errors"
local handle = require "moonpool.handle"
local kinds = require "moonpool.kinds"
local pump = require "moonpool.pump"
local share = require "moonpool.share"

local sync = {}

--- Whether n is an integer that may be a count, of at least so many; raises "argument".
function sync.check_count(call, which, n, least)
  local count = errors.whole(n)
  if not count or count < least or count > 0x7fffffff then
    errors.argument(call, which, ("an integer from %d on"):format(least), n)
  end
end

--- Sleeps and tries until try() gives something, which it returns; nothing when the deadline has passed.
function sync.until_got(self, try, sleep, deadline)
  local n = 0
  repeat
    local got, how = try(self, n > 0)
    if got then
      return got, how
    end
    if deadline and core.monotonic() >= deadline then
      return false
    end
    sleep(self, n, deadline)
    n = n + 1
  until false
end

--- The deadline of the arguments `block` and `timeout`: in the past where it is not to block.
function sync.limit(call, block, timeout)
  if block ~= nil and type(block) ~= "boolean" then
    errors.argument(call, "block", "a boolean", block)
  end
  return pump.deadline(block == false and 0 or timeout)
end

local Hold = kinds.class "Hold"
Hold.__index = Hold

--- Gives back what is held, once; leaving the block does it, too.
function Hold:release()
  if not self.over then
    self.over = true
    self.give(self.object, self.slot)
  end
end

Hold.__close = Hold.release

function Hold:__tostring()
  return ("Hold (%s)"):format(self.over and "released" or tostring(self.object))
end

-- ---- Lock, RLock ----

local function acquire_lock(self, block, timeout)
  return sync.until_got(self, core.lock_try, core.lock_sleep, sync.limit("acquire", block, timeout))
end

local lock = {}
lock.acquire, lock.release = core.lock_methods(acquire_lock)

--- Acquires it until the variable `local held <close>` goes: held.abandoned says that its last
--- holder had died.
function lock:hold()
  local _, abandoned = self:acquire()
  return setmetatable({ object = self, give = lock.release, abandoned = abandoned == "abandoned" },
    Hold)
end

-- ---- Semaphore, BoundedSemaphore ----

local semaphore = {}

--- Takes one: acquire([block [, timeout]]); whether it could.
function semaphore:acquire(block, timeout)
  return sync.until_got(self, core.semaphore_try, core.semaphore_sleep, sync.limit("acquire", block, timeout))
end

--- Gives one.
function semaphore:release()
  if not core.semaphore_give(self) then
    errors.raise("state", "release: the semaphore was released too often")
  end
end

--- How many there are now.
function semaphore:get_value()
  return core.semaphore_value(self)
end

--- Takes one until the variable goes; if this process dies before, another gets it.
function semaphore:hold()
  local slot, abandoned = sync.until_got(self, core.semaphore_hold, core.semaphore_sleep)
  return setmetatable({ object = self, give = core.semaphore_let, slot = slot,
    abandoned = abandoned }, Hold)
end

-- ---- Event ----

local event = {}

function event:set()
  core.event_set(self)
end

function event:clear()
  core.event_clear(self)
end

function event:is_set()
  return core.event_is_set(self)
end

--- Waits until it is set: true; false when `timeout` seconds have passed before.
function event:wait(timeout)
  return sync.until_got(self, core.event_is_set, core.event_sleep, pump.deadline(timeout))
end

-- ---- Condition ----

local condition = {}

local function lock_of(self, name)
  local its = core.shared_kept(self)
  if core.lock_depth(its) == 0 then
    errors.raise("state", ("%s: this process does not hold the condition's lock"):format(name))
  end
  return its
end

function condition:acquire(...)
  return core.shared_kept(self):acquire(...)
end

function condition:release()
  core.shared_kept(self):release()
end

function condition:hold()
  return core.shared_kept(self):hold()
end

--- Sets the lock free, waits for a notice and takes the lock again: true; false when `timeout`
--- seconds have passed before.
function condition:wait(timeout)
  local its, deadline = lock_of(self, "wait"), pump.deadline(timeout)
  local depth = core.lock_depth(its)
  core.notice_await(self)
  core.lock_deepen(its, 1)
  its:release()
  local ok, told = pcall(sync.until_got, self, core.notice_came, core.notice_sleep, deadline)
  local came = core.notice_give_up(self)
  its:acquire()
  core.lock_deepen(its, depth)
  if not ok then
    errors.throw(told)
  end
  return told or came
end

--- Waits until predicate() is true; what it returned last, when `timeout` seconds have passed, too.
function condition:wait_for(predicate, timeout)
  local deadline = pump.deadline(timeout)
  local result = predicate()
  while not result do
    local left = deadline and deadline - core.monotonic()
    if left and left <= 0 then
      break
    end
    self:wait(left)
    result = predicate()
  end
  return result
end

--- Wakes n of those that wait (1), the longest waiting first; what of them died does not count.
function condition:notify(n)
  n = n or 1
  sync.check_count("notify", "n", n, 1)
  lock_of(self, "notify")
  core.notice_tell(self, n)
end

--- Wakes all that wait.
function condition:notify_all()
  lock_of(self, "notify_all")
  core.notice_tell(self, 0x7fffffff)
end

-- ---- Barrier ----

local barrier = {}

local PAUSE = 0.001

local function broken()
  errors.raise("broken_barrier", "wait: the barrier is broken")
end

-- Comes to a round as soon as the one before is over.
local function enter(self, deadline)
  local state, round, index = core.barrier_enter(self)
  while state == "full" do
    if deadline and core.monotonic() >= deadline then
      core.barrier_do(self, "break")
      return "broken"
    end
    core.nap(core.monotonic() + PAUSE)
    core.barrier_check(self)
    state, round, index = core.barrier_enter(self)
  end
  return state, round, index
end

local function await_round(self, round, deadline)
  local n = 0
  while true do
    local state = core.barrier_look(self, round)
    if state ~= "waiting" then
      return state
    elseif deadline and core.monotonic() >= deadline then
      core.barrier_do(self, "break")
    else
      core.notice_sleep(self, n, deadline)
      core.barrier_check(self, round)
      n = n + 1
    end
  end
end

-- The last of a round does what is to be done before it ends.
local function let_pass(_, action, self)
  if action then
    action()
  end
  core.barrier_do(self, "pass")
  return "passed"
end

--- Waits until all parties have come, `timeout` seconds at most (or what the barrier says), and
--- returns the place in which this process came, from 0. An error "broken_barrier" where one
--- waited too long or died, or the barrier was aborted or reset.
function barrier:wait(timeout)
  local given = core.shared_kept(self)
  local deadline = pump.deadline(timeout or given.timeout)
  local state, round, index = enter(self, deadline)
  if state == "broken" then
    broken()
  end
  local ok, result
  if state == "last" then
    ok, result = pcall(let_pass, nil, given.action, self)
  else
    ok, result = pcall(await_round, self, round, deadline)
  end
  core.barrier_do(self, "leave")
  if not ok then
    core.barrier_do(self, "break")
    errors.throw(result)
  elseif result ~= "passed" then
    broken()
  end
  return index
end

--- Breaks it: who waits or comes gets the error "broken_barrier", until reset.
function barrier:abort()
  core.barrier_do(self, "break")
end

--- Empties it; who waits gets the error "broken_barrier".
function barrier:reset()
  core.barrier_do(self, "reset")
end

local fields = {}

function fields.parties(self)
  return (core.barrier_state(self))
end

function fields.n_waiting(self)
  return select(2, core.barrier_state(self))
end

function fields.broken(self)
  return select(3, core.barrier_state(self))
end

-- ---- the classes ----

for _, kind in ipairs { "Lock", "RLock" } do
  handle.define(kind, { index = lock })
end
for _, kind in ipairs { "Semaphore", "BoundedSemaphore" } do
  handle.define(kind, { index = semaphore })
end
handle.define("Event", { index = event })

handle.define("Condition", {
  index = condition,
  furnish = function(self)
    core.shared_keep(self, handle.attach(core.condition_lock(self)))
  end,
})

handle.define("Barrier", {
  methods = barrier,
  index = function(self, key)
    local read = fields[key]
    return barrier[key] or read and read(self)
  end,
  furnish = function(self, action, timeout)
    core.shared_keep(self, { action = action, timeout = timeout })
  end,
  baggage = function(self)
    core.barrier_do(self, "send")
    local given = core.shared_kept(self)
    return given.action, given.timeout
  end,
})

-- ---- making ----

--- A lock, free.
function sync.Lock()
  return core.shared("Lock")
end

--- A lock that the process which holds it may acquire again.
function sync.RLock()
  return core.shared("RLock")
end

local function semaphore_of(kind)
  return function(value)
    value = value == nil and 1 or value
    sync.check_count(kind, "the value", value, 0)
    local self = core.shared(kind)
    core.semaphore_begin(self, value)
    return self
  end
end

--- Semaphore([value]), 1; a bounded one is never above that.
sync.Semaphore = semaphore_of("Semaphore")
sync.BoundedSemaphore = semaphore_of("BoundedSemaphore")

--- A flag that is waited for, not set.
function sync.Event()
  return core.shared("Event")
end

--- Condition([lock]): a Lock or an RLock; without, an RLock of its own.
function sync.Condition(its)
  its = its == nil and sync.RLock() or its
  local meta = getmetatable(its)
  if meta ~= core.shared_meta("Lock") and meta ~= core.shared_meta("RLock") then
    errors.argument("Condition", "the argument", "a Lock or an RLock", its)
  end
  local self = core.shared("Condition")
  core.condition_lock(self, its)
  core.shared_give(its, self)
  core.shared_keep(self, its)
  return self
end

--- Barrier(parties [, action [, timeout]]): action() is called by the last that comes.
function sync.Barrier(parties, action, timeout)
  sync.check_count("Barrier", "parties", parties, 1)
  if action ~= nil and not share.is_function(action) then
    errors.argument("Barrier", "action", "a function", action)
  end
  pump.deadline(timeout) -- checks it
  local self = core.shared("Barrier")
  core.barrier_begin(self, parties)
  core.shared_keep(self, { action = action, timeout = timeout })
  return self
end

return sync
