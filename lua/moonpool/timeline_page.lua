-- The page of pool:timeline: one file of HTML with its style, its script and what it draws.
-- What comes from the program stands in it as JSON alone, without `<`, `>` and `&`.

local core, require = ...

local control = require "moonpool.timeline_control"
local data = require "moonpool.timeline_data"
local model = require "moonpool.timeline_model"
local view = require "moonpool.timeline_view"

local page = {}

local HEAD = [==[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Moonpool">
<link rel="icon" href="data:,">
<title>Moonpool timeline</title>
<style>
:root {
  color-scheme: light dark;
  --back: #fbfbf9; --panel: #ffffff; --ink: #22262b; --soft: #6a7178; --line: #dcdfe3;
  --done: #2a78b5; --failed: #d55e00; --timeout: #c79400; --lost: #a4296f; --cancelled: #9aa1a8;
  --tasks: #2a78b5; --depth: #6b5fb0; --busy: #1d9a7a; --lane: #f0f1f2; --mark: #22262b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #16181b; --panel: #1e2125; --ink: #e6e8ea; --soft: #9aa2aa; --line: #363b41;
    --done: #56a9e0; --failed: #f58a3c; --timeout: #e8c547; --lost: #e07ab8; --cancelled: #757d85;
    --tasks: #56a9e0; --depth: #a79be8; --busy: #4cc9a4; --lane: #25292e; --mark: #ffffff;
  }
}
* { box-sizing: border-box; }
html, body { margin: 0; height: 100%; }
body {
  background: var(--back); color: var(--ink); font: 14px/1.45 system-ui, sans-serif;
  display: flex; flex-direction: column; padding: 14px 18px; gap: 10px;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 22px; }
h1 { font-size: 18px; margin: 0; font-weight: 600; }
#totals { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0; padding: 0; list-style: none; }
#totals b { font-weight: 600; font-variant-numeric: tabular-nums; }
#totals span, .soft { color: var(--soft); }
#legend { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0; padding: 0; list-style: none; }
#legend i {
  display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px;
  vertical-align: -1px;
}
#note { margin: 0; padding: 8px 12px; border: 1px solid var(--line); border-radius: 6px; }
#note:empty { display: none; }
#stage {
  position: relative; flex: 1 1 auto; min-height: 220px; background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
}
canvas {
  position: absolute; inset: 0; width: 100%; height: 100%; display: block; cursor: grab;
  touch-action: none; outline-offset: -2px;
}
canvas.held { cursor: grabbing; }
#tip {
  position: fixed; display: none; pointer-events: none; max-width: 460px; padding: 7px 10px;
  background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  box-shadow: 0 3px 14px #0003; font-size: 13px; overflow-wrap: anywhere; z-index: 2;
}
#tip b { font-weight: 600; }
#tip code { font: 12px/1.4 ui-monospace, monospace; }
details { border-top: 1px solid var(--line); padding-top: 6px; max-height: 34%; overflow: auto; }
summary { cursor: pointer; color: var(--soft); }
table { border-collapse: collapse; margin-top: 4px; }
td, th { padding: 2px 16px 2px 0; text-align: left; font-weight: normal; }
th { color: var(--soft); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tbody tr { cursor: pointer; }
tbody tr:hover { background: var(--lane); }
footer { color: var(--soft); font-size: 12px; }
kbd { font: inherit; border: 1px solid var(--line); border-radius: 3px; padding: 0 4px; }
</style>
</head>
<body>
<header><h1>Moonpool timeline</h1><ul id="totals"></ul></header>
<ul id="legend"></ul>
<p id="note"></p>
<div id="stage"><canvas tabindex="0" role="img" aria-label="What each worker did, over time"></canvas></div>
<details open><summary>Slowest items</summary><table><thead><tr><th>took</th><th>item</th><th>call</th>
<th>arguments</th><th>worker</th><th>outcome</th></tr></thead><tbody id="slowest"></tbody></table></details>
<footer>Wheel or <kbd>+</kbd> <kbd>&minus;</kbd> zooms, dragging or the arrows move, a double click or
<kbd>0</kbd> shows all.</footer>
<div id="tip"></div>
<script type="application/json" id="data">
]==]

local SCRIPT = "\n</script>\n<script>\n"
local TAIL = "</script>\n</body>\n</html>\n"

local string, list = data.string, data.list

local function life_json(life)
  return ("[%d,%d,%s,%s]"):format(life.seat, life.pid, life.died or "null",
    life.fate and string(life.fate) or "null")
end

local function recipes_json(pool)
  local parts = {}
  for call, recipe in pairs(data.recipes(pool)) do
    local floats = math.type(recipe[1]) == "float"
    parts[#parts + 1] = ('[%d,%s,"%s","%s"]'):format(call, floats,
      (floats and "%.17g" or "%d"):format(recipe[1]), (floats and "%.17g" or "%d"):format(recipe[2]))
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

-- [numbers, texts], by number.
local function texts_json(texts)
  local numbers, parts = {}, {}
  for number in pairs(texts) do
    numbers[#numbers + 1] = number
  end
  table.sort(numbers)
  for i, number in ipairs(numbers) do
    parts[i] = string(texts[number])
  end
  return ("[[%s],[%s]]"):format(table.concat(numbers, ","), table.concat(parts, ","))
end

local function span_json(span)
  return ("[%d,%d,%d,%d,%d,%d]"):format(span.seat, span.pid, span.from, span.to, span.busy, span.items)
end

local function write_items(pool, known, emit)
  emit(',"lives":' .. list(data.lives(pool), life_json))
  emit(',"names":' .. list(core.record_names(pool.core), string))
  emit(',"recipes":' .. recipes_json(pool))
  emit(',"arguments":' .. texts_json(data.arguments(pool, known)))
  emit(',"messages":' .. texts_json(data.failures(pool)))
  emit(',"calls":"' .. core.record_calls(pool.core))
  emit('","waits":"' .. core.record_waits(pool.core))
  emit('","stream":"' .. core.record_items(pool.core) .. '"')
end

local function write_data(pool, known, emit)
  local count, cut = core.recorded(pool.core)
  local spans, origin = data.spans(pool)
  emit(('{"items":%d,"cut":%d,"processes":%d,"start":%.6f'):format(count or 0, cut or 0,
    pool.processes, core.time() - core.monotonic() + origin / 1e9))
  emit(',"kinds":' .. list(table.move(data.kinds, 0, #data.kinds, 1, {}), string))
  emit(',"spans":' .. list(spans, span_json))
  if count then
    write_items(pool, known, emit)
  end
  emit "}"
end

--- Writes the page of what the pool has recorded: `emit(text)` gets it piece by piece;
--- `known` is as data.arguments takes it.
function page.write(pool, known, emit)
  emit(HEAD)
  write_data(pool, known, emit)
  emit(SCRIPT)
  emit(model .. view .. control .. TAIL)
end

return page
