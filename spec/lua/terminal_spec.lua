-- timeout: 240
-- label: plain
-- What users see: scripts run on a terminal of the spec's own (support/screen.py), whose lines at the
-- end are compared. Numbers that depend on time are left out of bars: "title 100% 5/5".
local script = require "spec.support.script"

local TOOLS = [[
local sleep, fail, getpid = mp.sleep, error, mp.getpid
local function slow(i) sleep(0.02) return i end
]]

local function quoted(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function without_times(line)
  return (line:gsub(" ?[|%[][█▏▎▍▌▋▊▉=> ]*[|%]]", ""):gsub("  [%d.]+[kM]?/%a+", ""):gsub("  %-/s", "")
    :gsub("  in [%d.:]+s?", ""):gsub("  after [%d.:]+s?", ""):gsub("  [%d:-]+ left", "")
    :gsub("  %d+ busy", ""):gsub("(%d%d) +[%d%.:]+$", "%1"))
end

-- The lines that are on the terminal in the end. `options`: columns, rows, on (what to do when some text
-- is there), program, shell (a command with %s for the program's), exit, cursor.
local function seen(body, options)
  options = options or {}
  local path, words = os.tmpname(), { "timeout 60 python3 spec/support/screen.py", options.columns or 80,
    options.rows or 24 }
  local file = assert(io.open(path, "w"))
  file:write('local mp = require "moonpool"; ', TOOLS, body)
  file:close()
  for _, on in ipairs(options.on or {}) do
    words[#words + 1] = ("--on %s %s"):format(quoted(on[1]), quoted(on[2]))
  end
  local command = script.PROGRAMS[options.program or "moonpool"] .. " " .. path
  words[#words + 1] = ("-- sh -c %s"):format(quoted((options.shell or "exec %s"):format(command)))
  local pipe = assert(io.popen("LC_ALL=C.UTF-8 TERM=xterm " .. table.concat(words, " ") .. " 2>&1"))
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  os.remove(path)
  assert.equal(options.exit or "exit 0", table.remove(lines), table.concat(lines, "\n"))
  assert.equal("cursor " .. (options.cursor or 0), table.remove(lines), table.concat(lines, "\n"))
  return lines
end

local function check(expected, body, options)
  local lines = seen(body, options)
  for i, line in ipairs(lines) do
    lines[i] = without_times(line)
  end
  assert.same(expected, lines)
end

-- As many of each, in any order.
local function count(lines)
  local counts = {}
  for _, line in ipairs(lines) do
    counts[line] = (counts[line] or 0) + 1
  end
  return counts
end

describe("a bar", function()
  it("leaves its last state below what was printed and above what will be", function()
    script.each_program(function(program)
      check({ "before", "work 100% 50/50", "after" }, [[
        print "before"
        local pool <close> = mp.Pool(2)
        pool:map(slow, mp.range(50), { progress = "work", chunksize = 1 })
        print "after"]], { program = program })
    end)
  end)

  it("goes on while its items run", function()
    local path = os.tmpname() .. ".go"
    check({ "seen 100% 5/5" }, ([[
      local pool <close> = mp.Pool(1)
      local open = io.open
      pool:map(function(i) while i == 4 and not open("%s") do sleep(0.01) end end, mp.range(5),
        { progress = "seen", chunksize = 1 })]]):format(path), { on = { { "3/5", "touch " .. path } } })
    os.remove(path)
  end)

  it("needs no title, and no total", function()
    check({ "100% 3/3", "100% 3/3", "lines 100% 3/3", "0 done" }, [[
      local pool <close> = mp.Pool(2)
      pool:map(slow, { 1, 2, 3 }, { progress = true })
      local function source()
        local i = 0
        return function() i = i + 1 return i <= 3 and i or nil end
      end
      for _ in pool:imap(slow, source(), { progress = true, total = 2 }) do end
      for _ in pool:imap(slow, source(), { progress = "lines" }) do end
      pool:map(slow, {}, { progress = true })]])
  end)

  it("is there for every form", function()
    check({ "starmap 100% 2/2", "map_async 100% 3/3", "apply 100% 1/1", "apply_async 100% 1/1",
      "imap 100% 3/3", "imap_unordered 100% 3/3", "pairmap 100% 2/2", "reduce 100% 100/100" }, [[
      local pool <close> = mp.Pool(2)
      local function f(x) return x end
      pool:starmap(f, { { 1 }, { 2 } }, { progress = "starmap" })
      pool:map_async(f, { 1, 2, 3 }, { progress = "map_async" }):get()
      pool:apply(f, { 1 }, { progress = "apply" })
      pool:apply_async(f, { 1 }, { progress = "apply_async" }):get()
      for _, form in ipairs { "imap", "imap_unordered" } do
        for _ in pool[form](pool, f, { 1, 2, 3 }, { progress = form }) do end
      end
      pool:pairmap(f, { a = 1, b = 2 }, { progress = "pairmap" })
      pool:reduce(f, math.max, mp.range(100), { progress = "reduce" })]])
  end)

  it("may be a pool's default, which a call puts aside", function()
    check({ "default 100% 2/2", "own 100% 2/2", "default 100% 1/1" }, [[
      local pool <close> = mp.Pool { processes = 1, progress = "default" }
      pool:everywhere(slow, { 1 })
      pool:map(slow, { 1, 2 })
      pool:map(slow, { 1, 2 }, { progress = false })
      pool:map(slow, { 1, 2 }, { progress = "own" })
      pool:apply(slow, { 1 })]])
  end)

  it("counts failures and items that run again", function()
    check({ "bad 100% 10/10  5 failed  10 retried" }, [[
      local pool <close> = mp.Pool(2)
      pool:map(function(i) if i % 2 == 0 then fail "even" end end, mp.range(10),
        { progress = "bad", on_error = "collect", retries = 2 })]])
  end)

  it("counts what running items say of themselves, and what a journal has", function()
    local path = os.tmpname() .. ".go"
    check({ "parts 100% 2/2", "journal 100% 5/5", "journal 100% 9/9" }, ([[
      local pool <close> = mp.Pool(1)
      local open, task, path = io.open, mp.task, "%s"
      pool:map(function(i)
        task():progress(0.5)
        while i == 2 and not open(path) do sleep(0.01) end
      end, { 1, 2 }, { progress = "parts" })
      os.remove(path)
      pool:map(slow, mp.range(5), { progress = "journal", journal = path })
      pool:map(slow, mp.range(9), { progress = "journal", journal = path })]]):format(path),
      { on = { { "parts  75%", "touch " .. path } } })
    os.remove(path)
  end)

  it("stands with others, of other pools too, and each leaves one line", function()
    local lines = seen([[
      local pool <close> = mp.Pool(2)
      local other <close> = mp.Pool { processes = 1, start_method = "spawn" }
      local a = pool:map_async(slow, mp.range(60), { progress = "first", chunksize = 1 })
      local b = pool:map_async(slow, mp.range(20), { progress = "second", chunksize = 1 })
      local c = other:map_async(slow, mp.range(30), { progress = "third", chunksize = 1 })
      b:get() a:get() c:get()]], { rows = 8 })
    for i, line in ipairs(lines) do
      lines[i] = without_times(line)
    end
    assert.same({ ["first 100% 60/60"] = 1, ["second 100% 20/20"] = 1, ["third 100% 30/30"] = 1 }, count(lines))
  end)

  it("folds those that have no room", function()
    local lines = seen([[
      local pool <close> = mp.Pool(1)
      local results = {}
      for i = 1, 9 do results[i] = pool:map_async(slow, mp.range(5), { progress = "n" .. i, chunksize = 1 }) end
      for i = 1, 9 do results[i]:get() end]], { rows = 6, on = { { "more", "send x" } } })
    local n = 0
    for _, line in ipairs(lines) do
      n = n + (without_times(line):find("^n%d 100%% 5/5$") and 1 or 0)
    end
    assert.equal(9, n)
  end)
end)

describe("what is printed meanwhile", function()
  it("by tasks, on both streams and by mp.log, stands above in whole lines, once", function()
    for _, method in ipairs { "fork", "spawn", "forkserver" } do
      local lines = seen(([[
        local pool <close> = mp.Pool { processes = 2, start_method = "%s" }
        pool:map(function(i)
          sleep(0.01)
          print("out", i)
          io.write("a", "\n", "b\n")
          io.stderr:write("err ", i, "\n")
          mp.log("logged", i)
        end, mp.range(40), { progress = "work", chunksize = 1 })]]):format(method), { rows = 7 })
      local expected = { a = 40, b = 40, ["work 100% 40/40"] = 1 }
      for i = 1, 40 do
        expected["out " .. i], expected["err " .. i], expected["item " .. i .. ": logged " .. i] = 1, 1, 1
      end
      for i, line in ipairs(lines) do
        lines[i] = without_times(line):gsub("^PoolWorker%-%d, ", ""):gsub(" +", " ")
      end
      assert.same(expected, count(lines))
      assert.equal("work 100% 40/40", lines[#lines])
    end
  end)

  it("by the script, in a loop over results, stands above it in its order", function()
    local lines = seen([[
      local pool <close> = mp.Pool(2)
      for i in pool:imap(slow, mp.range(20), { progress = "loop" }) do
        print("first " .. i)
        io.write("second ", i, "\n")
        io.stderr:write("third ", i, "\n")
      end]], { rows = 5 })
    local expected, bars = {}, 0
    for i = 1, 20 do
      for _, word in ipairs { "first", "second", "third" } do expected[#expected + 1] = word .. " " .. i end
    end
    for i = #lines, 1, -1 do
      if without_times(lines[i]) == "loop 100% 20/20" then
        table.remove(lines, i)
        bars = bars + 1
      end
    end
    assert.same(expected, lines)
    assert.equal(1, bars)
  end)

  it("by callbacks, warnings and child processes, too", function()
    local lines = seen([[
      local pool <close> = mp.Pool(1)
      local p = mp.Process { target = function() for i = 1, 10 do sleep(0.03) print("child " .. i) end end }
      p:start()
      pool:map_async(slow, { 1, 2, 3 }, { callback = function() print "called" warn "warned" end })
      pool:map(slow, mp.range(30), { progress = "work", chunksize = 1 })
      p:join()]], { rows = 5 })
    local found = count(lines)
    for i = 1, 10 do assert.equal(1, found["child " .. i]) end
    assert.equal(1, found.called)
    assert.equal(1, found["Lua warning: warned"])
    assert.equal(13, #lines)
  end)

  it("may be unfinished lines", function()
    check({ "begun", ". . . . .", "dots 100% 5/5", "end" }, [[
      io.write "begun"
      local pool <close> = mp.Pool(1)
      local n = 0
      for i in pool:imap(function(i) sleep(0.15) return i end, mp.range(5), { progress = "dots" }) do
        n = n + 1
        if n < 5 then io.write(". ") io.flush() end
        if n == 4 then io.write(".") io.flush() end
      end
      print "end"]])
  end)

  it("goes where it always went, if that is no terminal", function()
    local path = os.tmpname()
    check({ "err", "work 100% 5/5" }, [[
      local pool <close> = mp.Pool(1)
      pool:map(function(i) if i == 1 then io.stderr:write "err\n" end sleep(0.03) print(i) end, mp.range(5),
        { progress = "work", chunksize = 1 })]], { shell = "%s >" .. path })
    assert.equal("1\n2\n3\n4\n5\n", script.read(path))
    os.remove(path)
  end)

  it("is not held up, nor are streams other than before, once the bar is gone", function()
    check({ "true true", "work 100% 3/3", "true true" }, [[
      local function look()
        io.write(tostring(io.type(io.stdout) == "file"), " ", tostring(io.stdout == io.output()), "\n")
      end
      look()
      local pool <close> = mp.Pool(1)
      pool:map(slow, { 1, 2, 3 }, { progress = "work" })
      look()]])
  end)
end)

describe("a terminal", function()
  it("that is narrow gets short lines", function()
    check({ "twenty 100% 20/20" }, [[
      local pool <close> = mp.Pool(2)
      pool:map(slow, mp.range(20), { progress = "twenty", chunksize = 1 })]], { columns = 20 })
    check({ "漢字の題名 100%" }, [[
      local pool <close> = mp.Pool(2)
      pool:map(slow, mp.range(20), { progress = "漢字の題名", chunksize = 1 })]], { columns = 20 })
  end)

  it("may get another size", function()
    local lines = seen([[
      local pool <close> = mp.Pool(2)
      pool:map(function(i) sleep(0.05) if i % 10 == 0 then print(i) end end, mp.range(60),
        { progress = "work", chunksize = 1 })]],
      { columns = 100, rows = 20, on = { { "work", "resize 30 10" }, { "20", "resize 120 12" },
        { "40", "resize 25 5" } } })
    assert.same({ "10", "20", "30", "40", "50", "60" }, { table.unpack(lines, 1, 6) })
    assert.equal("work 100% 60/60", without_times(lines[7]))
    assert.equal(7, #lines)
  end)

  it("that has stopped keeps no run waiting", function()
    local path = os.tmpname() .. ".done"
    local lines = seen(([[
      local pool <close> = mp.Pool(2)
      pool:map(slow, mp.range(60), { progress = "first", chunksize = 1 })
      pool:map(slow, mp.range(10), { progress = "second", chunksize = 1 })
      io.open("%s", "w"):close()
      sleep(0.2)
      pool:map(slow, mp.range(10), { progress = "third", chunksize = 1 })]]):format(path),
      { on = { { "first", "send \\x13" }, { "first", "await " .. path }, { "first", "send \\x11" } } })
    os.remove(path)
    assert.equal("third 100% 10/10", without_times(lines[#lines]))
  end)

  it("may go away", function()
    local path = os.tmpname()
    seen(([[
      local pool <close> = mp.Pool(2)
      local r = pool:map(slow, mp.range(60), { progress = "work", chunksize = 1 })
      local file = io.open("%s", "w")
      file:write(r.n)
      file:close()]]):format(path), { shell = "trap '' HUP; exec %s", on = { { "work", "hang-up" } } })
    assert.equal("60", script.read(path))
    os.remove(path)
  end)

  it("that is dumb, or has no name, gets none", function()
    for _, kind in ipairs { "TERM=dumb", "TERM=" } do
      check({ "3" }, [[
        local pool <close> = mp.Pool(2)
        print(pool:map(slow, { 1, 2, 3 }, { progress = true }).n)]], { shell = kind .. " %s" })
      local lines = seen([[
        local pool <close> = mp.Pool(2)
        print(pool:map(slow, { 1, 2, 3 }, { progress = "always" }).n)]], { shell = kind .. " %s" })
      assert.truthy(lines[1]:find("^moonpool: 3/3 %(100%%%), [%d.]+/s, in 0.%ds$"))
      assert.equal("3", lines[2])
    end
  end)

  it("is left alone by a program in the background", function()
    check({ "through" }, [[
      local pool <close> = mp.Pool(2)
      pool:map(slow, mp.range(20), { progress = "work", chunksize = 1 })
      print "through"]], { shell = "set -m; %s & wait" })
  end)
end)

describe("the end of a bar", function()
  it("comes with its call, however that ends", function()
    check({ "raises   5% 1/20  1 failed", "task", "left   0% 3/1000", "input 0 done", "false", "cancelled   0% 0/20",
      "terminated   0% 0/20", "over" }, [[
      local pool <close> = mp.Pool(1)
      local _, err = pcall(pool.map, pool, function() fail "bad" end, mp.range(20),
        { progress = "raises", chunksize = 1 })
      print(err.kind)
      for i in pool:imap(slow, mp.range(1000), { progress = "left", chunksize = 1 }) do
        if i == 3 then break end
      end
      print((pcall(pool.map, pool, slow, function() fail "input" end, { progress = "input" })))
      local r = pool:map_async(sleep, mp.linspace(9, 9, 20), { progress = "cancelled" })
      r:wait(0.2)
      r:cancel()
      r = pool:map_async(sleep, mp.linspace(9, 9, 20), { progress = "terminated" })
      r:wait(0.2)
      pool:terminate()
      print "over"]])
  end)

  it("comes where a pool is collected, and where the program ends in its midst", function()
    local lines = seen([[
      do
        local pool = mp.Pool(1)
        pool:map_async(sleep, { 9, 9 }, { progress = "collected" })
        pool:poll(0.2)
      end
      collectgarbage() collectgarbage()
      print "behind"
      local pool = mp.Pool(1)
      pool:map_async(sleep, { 9, 9 }, { progress = "exit" })
      pool:poll(0.2)
      os.exit(3)]], { exit = "exit 3", columns = 120 })
    for i, line in ipairs(lines) do
      lines[i] = without_times(line)
    end
    assert.truthy(lines[1]:find("a pool was collected"))
    assert.same({ "collected   0% 0/2", "behind", "exit   0% 0/2" }, { table.unpack(lines, 2) })
  end)

  it("comes with a Ctrl-C", function()
    script.each_program(function(program)
      local lines = seen([[
        local pool <close> = mp.Pool(2)
        pool:map(slow, mp.range(10000), { progress = "long", chunksize = 1 })]],
        { program = program, on = { { "long", "send \\x03" } }, exit = "exit 1", rows = 30 })
      local bars, traces = 0, 0
      for _, line in ipairs(lines) do
        bars = bars + (line:find("^long .*/10000") and 1 or 0)
        traces = traces + (line:find("interrupted!") and 1 or 0)
      end
      assert.same({ 1, 1 }, { bars, traces })
    end)
  end)

  it("is not put off by workers that are killed", function()
    local lines = seen([[
      local pool <close> = mp.Pool(2)
      pool:map(function(i)
        sleep(0.01)
        if i % 10 == 0 then io.write("last words of ", i, "\n") os.execute("kill -9 " .. getpid()) end
      end, mp.range(50), { progress = "killed", chunksize = 1, on_error = "collect" })]])
    local found = count(lines)
    for i = 10, 50, 10 do assert.equal(1, found["last words of " .. i]) end
    assert.equal("killed 100% 50/50  5 failed", without_times(lines[#lines]))
    assert.equal(6, #lines)
  end)

  it("is not drawn by those that a process with bars has forked", function()
    check({ "inner 100% 10/10", "child 100% 10/10", "outer 100% 2/2" }, [[
      local Pool, range = mp.Pool, mp.range
      local function inner()
        local pool <close> = Pool(1)
        pool:map(slow, range(10), { progress = "inner", chunksize = 1 })
      end
      local pool <close> = mp.Pool(1)
      pool:map(function(i)
        if i == 1 then inner() else
          local p = mp.Process { target = function()
            local mine <close> = Pool(1)
            mine:map(slow, range(10), { progress = "child", chunksize = 1 })
          end }
          p:start() p:join()
        end
      end, { 1, 2 }, { progress = "outer", chunksize = 1 })]])
  end)
end)

describe("without a terminal", function()
  it("there is nothing, but lines where they are asked for", function()
    local r = script.run(TOOLS .. [[
      local pool <close> = mp.Pool(2)
      pool:map(slow, { 1, 2, 3 }, { progress = true })
      pool:map(slow, { 1, 2, 3 }, { progress = "title" })
      for _ in pool:imap(slow, { 1, 2, 3 }, { progress = "always" }) do end
      pool:map(function(i) if i == 2 then fail "x" end end, { 1, 2, 3 },
        { progress = "always", on_error = "collect" })]])
    assert.equal(0, r.code)
    assert.equal("", r.output)
    local lines = {}
    for line in r.errors:gmatch("[^\n]+") do
      lines[#lines + 1] = line:gsub(", [%d.]+k?/s, in %d.%ds", "")
    end
    assert.same({ "moonpool: 3/3 (100%)", "moonpool: 3/3 (100%), 1 failed" }, lines)
  end)

  it("a closed standard error does no harm", function()
    for _, what in ipairs { "true", "'always'" } do
      assert.equal("3\n", script.output(TOOLS .. ([[
        local pool <close> = mp.Pool(2)
        print(pool:map(slow, { 1, 2, 3 }, { progress = %s }).n)]]):format(what),
        { under = [[sh -c 'exec "$@" 2>&-' sh]] }))
    end
  end)
end)
