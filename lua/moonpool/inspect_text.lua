-- How what inspect.lua sees is shown: lines for people, tables for programs.

local core = ...

local inspect_text = {}

local HEAD <const> = "worker      pid  state     item      time   done    memory     items   items/s   cpu %  function"
local ROW <const> = "%6d  %7s  %-8s %5s %9s %6s %9s %9s %9s %7s  %s"

-- ---- numbers ----

function inspect_text.duration(seconds)
  if not seconds then
    return ""
  elseif seconds < 1 then
    return ("%.0f ms"):format(seconds * 1e3)
  elseif seconds < 120 then
    return ("%.1f s"):format(seconds)
  elseif seconds < 7200 then
    return ("%d m %02d s"):format(seconds // 60, seconds % 60 // 1)
  end
  return ("%d h %02d m"):format(seconds // 3600, seconds % 3600 // 60)
end

local function size(bytes)
  if not bytes then
    return ""
  elseif bytes < 1 << 20 then
    return ("%d KiB"):format(bytes >> 10)
  elseif bytes < 1 << 30 then
    return ("%.1f MiB"):format(bytes / (1 << 20))
  end
  return ("%.1f GiB"):format(bytes / (1 << 30))
end

local function count(n)
  if n < 1e7 then
    return ("%d"):format(n)
  elseif n < 1e10 then
    return ("%.1fM"):format(n / 1e6)
  end
  return ("%.1fG"):format(n / 1e9)
end

local function rate(n)
  if not n then
    return ""
  end
  return n < 100 and ("%.1f"):format(n) or count(n // 1)
end

local function percent(share)
  return share and ("%.0f"):format(share * 100) or ""
end

-- ---- lines ----

local function state(worker)
  return worker.paused and "stopped" or worker.state
end

local function label(worker)
  local text = worker.everywhere and "(everywhere)" or worker.label or ""
  return (core.fit(text, 200))
end

local function row(worker)
  local time = worker.seconds and inspect_text.duration(worker.seconds) or ""
  return (ROW:format(worker.number, worker.pid and tostring(worker.pid) or "", state(worker),
    worker.item and count(worker.item) or "", time,
    worker.progress and ("%.0f %%"):format(worker.progress * 100) or "", size(worker.memory),
    count(math.max(worker.begun - (worker.item and 1 or 0), 0)), rate(worker.rate),
    percent(worker.share), label(worker)):gsub("%s+$", ""))
end

local function kinds_of(pool)
  local words = {}
  for _, name in ipairs { "busy", "idle", "starting", "gone" } do
    if pool.counts[name] > 0 then
      words[#words + 1] = ("%d %s"):format(pool.counts[name], name)
    end
  end
  return #words > 0 and " (" .. table.concat(words, ", ") .. ")" or ""
end

local function title(pool)
  local parts = { ("pid %d  %s"):format(pool.pid, pool.command ~= "" and pool.command or pool.program) }
  parts[#parts + 1] = pool.method
  parts[#parts + 1] = ("%d worker%s%s"):format(#pool.workers, #pool.workers == 1 and "" or "s",
    kinds_of(pool))
  parts[#parts + 1] = ("tasks: %d waiting, %d taken"):format(pool.waiting, pool.handed)
  parts[#parts + 1] = pool.rate and rate(pool.rate) .. " items/s" or nil
  if pool.share then
    parts[#parts + 1] = percent(pool.share) .. " % cpu"
  end
  return table.concat(parts, "  ")
end

--- The view as a list of lines, the first `most` of them if that is given; and how many there are.
function inspect_text.lines(view, most)
  local lines, n = {}, 0
  local function add(make, ...)
    n = n + 1
    lines[n] = (not most or n <= most) and make(...) or nil
  end
  for _, pool in ipairs(view.pools) do
    if n > 0 then
      add(tostring, "")
    end
    add(title, pool)
    if #pool.workers > 0 then
      add(tostring, HEAD)
    end
    for _, worker in ipairs(pool.workers) do
      add(row, worker)
    end
  end
  for _, problem in ipairs(view.problems) do
    add(core.fit, problem, 400)
  end
  return lines, n
end

-- ---- for programs ----

local function worker_table(worker)
  return { number = worker.number, pid = worker.pid, state = worker.state,
    stopped = worker.paused or false, everywhere = worker.everywhere or false, item = worker.item,
    ["function"] = worker.label and worker.label ~= "" and core.fit(worker.label, 200) or nil,
    seconds = worker.seconds, exact = worker.item and worker.exact, progress = worker.progress,
    memory = worker.memory, items = math.max(worker.begun - (worker.item and 1 or 0), 0),
    items_per_second = worker.rate, cpu = worker.share }
end

local function pool_table(pool)
  local workers = {}
  for i, worker in ipairs(pool.workers) do
    workers[i] = worker_table(worker)
  end
  return { pid = pool.pid, program = pool.program, command = pool.command,
    start_method = pool.method, waiting = pool.waiting, taken = pool.handed,
    items_per_second = pool.rate, cpu = pool.share, workers = workers }
end

--- The same as a table for core.json_text.
function inspect_text.table(view)
  local pools, problems = {}, {}
  for i, pool in ipairs(view.pools) do
    pools[i] = pool_table(pool)
  end
  for i, problem in ipairs(view.problems) do
    problems[i] = core.fit(problem, 400)
  end
  return { time = view.time, pools = pools, problems = problems }
end

return inspect_text
