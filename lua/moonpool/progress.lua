-- The option progress: who is told how far a call is. A function hears of its items; a bar is
-- drawn on the terminal, or a line written now and then where there is none.
--
-- Invariants: functions run inside Moonpool's calls, never within a callback; each is told a
-- number once, and the last one before its call's result is given. While one listens, the
-- host is called for every result (pool.listening). Bars ask nobody: they are looked at some times a
-- second, by whatever waits for a pool or takes in its results, of this process's pools alone, and
-- once more when their call is over. Pools are known weakly: what is shown keeps none alive.

local core, require = ...

local dispatch = require "moonpool.dispatch"
local errors = require "moonpool.errors"
local later = require "moonpool.later"

local bars = later "moonpool.bars"

local progress = {
  active = false, -- some bar is there: the three functions of pump.lua's below are to be called
}

local MOST = 30        -- bars that are shown at once
local LOOK = 0.1       -- seconds between two looks
local HEAL = 1         -- after which a line is drawn again though it has not changed
local REPORT = 10      -- between two lines where there is no terminal
local MEMORY = 10      -- seconds that the rate remembers at the beginning; later a quarter of all
local PATIENCE = 100   -- milliseconds that the terminal has to take a last line

local pools = setmetatable({}, { __mode = "k" }) -- with bars
local home             -- the process whose bars they are
local number = 0       -- of bars made
local next_look, next_draw = 0, 0
local above, fresh = "", false -- lines that are to stay and are not written yet; none was tried
local shown = ""
local paint             -- who shows bars in the place of the terminal's own drawing

-- ---- functions ----

local function listen(pool, holder, tell, total)
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

local function unlisten(pool, at)
  pool.listening = pool.listening - 1
  table.remove(pool.watched, at)
end

local function tell_all(pool, failed)
  local i = 1
  while pool.watched[i] do
    if tell_one(pool, pool.watched[i], failed) then
      core.undisturbed(unlisten, pool, i)
    else
      i = i + 1
    end
  end
end

--- Tells functions of what has come. `failed(pool, err)` gets their errors.
function progress.tell(pool, failed)
  if #pool.watched > 0 and not pool.dispatching then
    dispatch.run(pool, tell_all, failed)
  end
end

-- ---- a bar's numbers ----

local function total_of(bar, come, over)
  local counted = core.total(bar.holder.call)
  if over and counted == come then
    return counted
  end
  return bar.total or counted
end

-- The rate is a mean over the time behind, which counts the less the longer ago it is.
local function learn_rate(bar, done, now)
  local time, memory = now - bar.at, math.max(MEMORY, (now - bar.began) / 4)
  local keep = math.exp(-time / memory)
  bar.items = bar.items * keep + done - bar.done
  bar.time = bar.time * keep + time
  bar.done, bar.at = done, now
  return bar.time > 0 and bar.items / bar.time or nil
end

-- Items that a journal knew already, which say nothing of how long the others take.
local function known(holder)
  return holder.journal and core.journal_counts(holder.journal.core) or 0
end

local function numbers_of(pool, bar, now)
  local holder = bar.holder
  local over = bar.left or holder.done or core.over(holder.call)
  local _, done, failed, retried = core.counts(holder.call)
  local come = done + failed
  local total, reached = total_of(bar, come, over), over and come or come + core.fractions(holder.call)
  local seconds = now - bar.began
  local rate = learn_rate(bar, reached - known(holder), now)
  if total and (come > total or total == 0) then
    total = nil
  end
  if over then
    rate = seconds > 0 and (come - known(holder)) / seconds or nil
  end
  return { title = bar.title, done = reached, total = total, rate = rate, seconds = seconds,
    left = total and rate and rate > 0 and (total - reached) / rate or nil, failed = failed,
    retried = retried, busy = not over and core.at_work(pool.core) or 0, over = over }
end

-- ---- drawing ----

-- The bars of this process in the order of their making, each with its pool.
local function collect()
  local list = {}
  for pool in pairs(pools) do
    for _, bar in ipairs(pool.bars) do
      list[#list + 1] = { pool = pool, bar = bar }
    end
  end
  table.sort(list, function(a, b) return a.bar.number < b.bar.number end)
  return list
end

local function forget(pool, bar)
  for i, other in ipairs(pool.bars) do
    if other == bar then
      table.remove(pool.bars, i)
      break
    end
  end
  if #pool.bars == 0 then
    pools[pool] = nil
  end
end

local function report(bar, numbers, now)
  if numbers.over or now >= bar.next_report then
    bar.next_report = now + REPORT
    core.say(bars.report(numbers) .. "\n")
  end
end

-- At most `rows` of these.
local function fold(lines, rows)
  local hidden = #lines - rows
  if hidden > 0 then
    for i = #lines, rows, -1 do
      lines[i] = nil
    end
    lines[rows] = ("... %d more"):format(hidden + 1)
  end
  return lines
end

-- The lines of the bars that go on; those of the others come above.
local function lines_of(list, now, columns)
  local lines, utf8 = {}, core.speaks_utf8()
  for _, entry in ipairs(list) do
    local pool, bar = entry.pool, entry.bar
    local numbers = numbers_of(pool, bar, now)
    if numbers.over then
      forget(pool, bar)
    end
    if bar.reports then
      report(bar, numbers, now)
    elseif numbers.over then
      above, fresh = above .. bars.line(numbers, columns, utf8) .. "\n", true
    else
      lines[#lines + 1] = bars.line(numbers, columns, utf8)
    end
  end
  return lines
end

local function stop()
  for pool in pairs(pools) do
    pools[pool] = nil
  end
  above, shown, progress.active = "", "", false
end

-- What is on the screen already is not written again.
local function show(lines, rows, columns, now)
  local text = table.concat(lines, "\n")
  if above == "" and text == shown and now < next_draw then
    return
  end
  local drawn = (paint or core.draw_bars)(above, text, rows, columns, fresh and PATIENCE or 0)
  fresh = false
  if drawn then
    above, shown, next_draw = "", text, now + HEAL
  elseif drawn == nil then
    stop()
  end
end

local function draw(now)
  local columns, rows = core.terminal_size()
  local lines = fold(lines_of(collect(), now, columns), math.max(math.min(rows - 2, MOST), 1))
  if above ~= "" or #lines > 0 or shown ~= "" then
    show(lines, #lines, columns, now)
  end
  if next(pools) == nil and above == "" then
    if not paint then
      core.stop_bars()
    end
    progress.active, shown = false, ""
  end
end

-- ---- looking ----

-- What a fork has inherited is its parent's.
local function at_home()
  if home ~= core.pid() then
    stop()
    home = core.pid()
    return false
  end
  return true
end

local function some_are_over(pool)
  for _, bar in ipairs(pool.bars or {}) do
    if bar.left or bar.holder.done or core.over(bar.holder.call) then
      return true
    end
  end
  return false
end

-- The bars of pools that nobody waits for now go on, too.
local function turn_others(pool, turn)
  local others = {}
  for other in pairs(pools) do
    if other ~= pool and other.state ~= "joined" then
      others[#others + 1] = other
    end
  end
  for _, other in ipairs(others) do
    turn(other)
  end
end

--- Behind what has been taken in of that pool, or nothing: draws where it is time. `turn(pool)`
--- takes in what there is of others.
function progress.look(pool, turn)
  local now = core.monotonic()
  if now >= next_look then
    next_look = now + LOOK
    if at_home() then
      turn_others(pool, turn)
      core.undisturbed(draw, now)
    end
  elseif pools[pool] and some_are_over(pool) and at_home() then
    core.undisturbed(draw, now)
  end
end

--- The deadline of a wait behind which there is to be a look.
function progress.deadline(deadline)
  return math.min(deadline or math.huge, math.max(next_look, core.monotonic() + LOOK / 10))
end

--- Whether it is time for a look.
function progress.is_due(now)
  return now >= next_look
end

--- The pool is no more: its bars stay as they are.
function progress.leave(pool)
  if pools[pool] and at_home() then
    for _, bar in ipairs(pool.bars) do
      bar.left = true
    end
    next_look = 0
    core.undisturbed(draw, core.monotonic())
  end
end

--- From now on bars are shown by painter(above, lines, rows, columns), as core.draw_bars does; nil: on
--- the terminal again. Those that stand there are taken away.
function progress.paint(painter)
  if progress.active and not paint and painter then
    core.draw_bars("", "", 0, core.terminal_size(), PATIENCE)
    core.stop_bars()
  end
  paint, shown, next_draw = painter, "", 0
end

--- The call's bars, if it goes on, are shown no longer.
function progress.unwatch(pool, holder)
  for i = #(pool.bars or {}), 1, -1 do
    if pool.bars[i].holder == holder then
      forget(pool, pool.bars[i])
    end
  end
  next_look = 0
end

-- `began`: when the call did, if not now; what it has done since counts for the mean alone.
local function add_bar(pool, holder, title, total, reports, began)
  local now = core.monotonic()
  local _, done, failed = core.counts(holder.call)
  at_home()
  number = number + 1
  pool.bars = pool.bars or {}
  pool.bars[#pool.bars + 1] = { number = number, holder = holder, title = title, total = total,
    reports = reports, next_report = now + REPORT, began = began or now, at = now,
    done = began and done + failed or 0, items = began and done + failed or 0, time = began and now - began or 0 }
  pools[pool] = true
  if not progress.active then
    next_look, progress.active = now + LOOK / 2, true
  end
end

-- Nil or false: nobody is to be told.
local function asked(pool, given)
  if given.progress ~= nil then
    return given.progress
  end
  return pool.progress
end

local function is_bar(what)
  return what == true or type(what) == "string"
end

--- From now on what a call's options say, or else its pool's, is told how far the call is: a
--- function, called as tell(done, total or nil); true or a title: a bar, where there is a terminal;
--- "always": a bar, or lines. `name`: of the method called; `holder`: the call's AsyncResult or
--- iterator.
function progress.watch(pool, name, holder, given)
  local what = asked(pool, given)
  if what and not is_bar(what) then
    listen(pool, holder, what, errors.whole(given.total))
  elseif what and name ~= "everywhere" then
    local terminal = core.is_terminal()
    if terminal or what == "always" then
      local title = what ~= true and what ~= "always" and what or nil
      add_bar(pool, holder, title, errors.whole(given.total), not terminal, given.began)
    end
  end
end

--- Whether such a call is to hear of each result.
function progress.listens(pool, given)
  local what = asked(pool, given)
  return what and not is_bar(what)
end

return progress
