-- What an item knows of itself while it runs in a worker: its index, attempt and seed, the state that
-- an attempt of it has saved, and how far it is.
--
-- Invariant: a Task is of one attempt of one item, and does nothing once that has ended.

local core, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"

local task = {}

local Task = kinds.class "Task"
Task.__index = Task

local serials = setmetatable({}, { __mode = "k" }) -- of Tasks: the worker's number of their item
local current -- the one made last

local function serial(self, name)
  errors.check_self(self, Task, name, "task")
  return serials[self] or 0
end

local pretended -- the Task of an item that runs again in this process
local state     -- what it has saved
local random    -- where math.random was then, until it is there again

--- From now on this process is at work on that item, which has saved that state: {value, where
--- math.random was}, or nil.
function task.pretend(index, attempt, seed, saved)
  pretended = setmetatable({ index = index, attempt = attempt, seed = seed }, Task)
  if saved then
    state, random = saved[1], saved[2]
  end
end

--- The Task of the item that runs; nil where none does: outside of workers, in what is collected
--- between items, in a pool's initializer, and in processes that a task has started.
function task.current()
  local number, index, attempt, seed = core.task()
  if not number then
    return pretended
  end
  if not current or serials[current] ~= number then
    current = setmetatable({ index = index, attempt = attempt, seed = seed }, Task)
    serials[current] = number
  end
  return current
end

--- Gives the host a state of the item: any value that can be sent. When it returns the state is
--- safe, whatever becomes of this worker.
function Task:save(value)
  if self == pretended then
    state = value
    return
  end
  core.task_save(serial(self, "save"), value)
end

--- A copy of the state that was saved last, by this attempt of the item or one before; nil where
--- there is none. Where it is one before, math.random goes on from where it was then.
function Task:saved()
  if self == pretended then
    if random then
      core.resume_random(random)
      random = nil
    end
    return state
  end
  return core.task_saved(serial(self, "saved"))
end

--- Tells the host how much of the item is done, 0 to 1.
function Task:progress(fraction)
  local number = serial(self, "progress")
  if type(fraction) ~= "number" or not (fraction >= 0 and fraction <= 1) then
    errors.argument("progress", "the argument", "a number from 0 to 1", fraction)
  end
  if self ~= pretended then
    core.task_show(number, fraction)
  end
end

function Task:__tostring()
  return ("Task (item %s, attempt %s)"):format(self.index, self.attempt)
end

function Task:__reduce()
  errors.raise("encode", ("cannot send %s: it is its worker's"):format(self))
end

return task
