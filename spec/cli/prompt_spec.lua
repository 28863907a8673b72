-- timeout: 300
-- The prompt as somebody at a terminal has it: keys are sent, and the window is looked at.

local script = require "spec.support.script"
local tmux = require "spec.support.tmux"

local MOONPOOL = script.PROGRAMS.moonpool

local home

local function start(options)
  options = options or {}
  local window = tmux.start { columns = options.columns, rows = options.rows,
    command = MOONPOOL .. " -j 2 " .. (options.arguments or ""),
    env = { XDG_STATE_HOME = home, LC_ALL = "C.UTF-8", INPUTRC = "/dev/null", NO_COLOR = "1" } }
  window:sees "Copyright"
  window:sees "\n>\n"
  return window
end

-- The pids that the prompt has told, as "pids: 1 2".
local function told(window)
  local pids = {}
  for pid in window:matches("\npids: [%d ]+\n"):match("\npids: ([%d ]+)\n"):gmatch "%d+" do
    pids[#pids + 1] = tonumber(pid)
  end
  return pids
end

local TELL_PIDS = [[local t = {mp.getpid()} for i, w in ipairs(pool:workers()) do t[i + 1] = w.pid end
print("pids: " .. table.concat(t, " "))]]

describe("the prompt", function()
  before_each(function()
    home = os.tmpname()
    os.remove(home)
  end)
  after_each(function() os.execute("rm -rf " .. home) end)

  it("takes lines while a job runs, and tells of its end above what is typed", function()
    local window <close> = start()
    local go = home .. ".go"
    window:keys(("path = %q"):format(go), "Enter")
    window:keys("r = pool:map_async(function(i) while not io.open(path) do mp.sleep(0.01) end return i end, {1, 2, 3})",
      "Enter")
    window:keys("a = 20", "Enter", "b = 22", "Enter", "a + b", "Enter")
    window:sees "\n42\n"
    window:keys "print('half ty"
    window:sees "> print('half ty"
    io.open(go, "w"):close()
    window:matches "\n%[1%] done: map 3 items in [%d.]+ s\n> print%('half ty\n$"
    window:keys("ped')", "Enter")
    window:sees "\nhalf typed\n"
    window:keys("_1", "Enter")
    window:sees "\n{1, 2, 3, n = 3}\n"
    os.remove(go)
  end)

  it("runs callbacks and shows what they and tasks print, while nothing is typed", function()
    local window <close> = start()
    window:keys("pool:apply_async(function() print 'from afar' return 7 end, {}, function(v) print('got', v) end)",
      "Enter")
    window:matches "\n%[1%] from afar\n"
    window:matches "\ngot +7\n"
    window:matches "\n%[1%] done: apply in [%d.]+ s\n>\n$"
  end)

  it("shows what tasks print with their job's number, and no more of it than one can read", function()
    local window <close> = start { rows = 60 }
    window:keys("pool:apply_async(function() for i = 1, 10000 do print(i) end end, {})", "Enter")
    window:matches "%[1%] 1\n%[1%] 2\n"
    window:matches "\n%[1%] %.%.%. 9%d%d%d more lines, see job%(1%):output%(%)\n>\n$"
    window:keys("#job(1):output(), job(1):output()[10000]", "Enter")
    window:matches "\n10000 +\"10000\"\n"
    window:keys("pool:map(print, {'one', 'two'})", "Enter")
    window:matches "\none\n"
    window:sees "{n = 2}"
  end)

  it("has what processes of the tree write above the line, too", function()
    local window <close> = start { columns = 60 }
    local go = home .. ".go"
    window:keys(("path = %q"):format(go), "Enter")
    window:keys("local function await() while not io.open(path) do mp.sleep(0.01) end end", "Enter")
    window:keys("mp.Process{target = function() await() print 'a process' end}:start()", "Enter")
    window:keys("local other = mp.Pool{processes = 1, output = print}", "Enter")
    window:keys("await() mp.sleep(0.5) warn('half a warning, ', 'and all') &", "Enter")
    window:sees "\n[1] await() mp.sleep"
    window:keys("'" .. ("é"):rep(70), "Left")
    window:sees(("é"):rep(70))
    io.open(go, "w"):close()
    window:sees "\na process\n"
    window:sees "\nLua warning: half a warning, and all\n"
    window:matches("\n> '" .. ("é"):rep(70) .. "\n$")
    window:keys("X", "End", "'", "Enter")
    window:sees('\n"' .. ("é"):rep(69) .. 'Xé"\n')
    os.remove(go)
  end)

  it("keeps what stands before it unfinished, and draws no more of itself than its last line", function()
    local window <close> = start()
    window:keys("mp.sleep(0.5) &", "Enter", "do io.write('unfinished: ') end", "Enter")
    window:matches "\nunfinished:\n%[1%] done: [^\n]*\n>\n$"
    window:keys("io.write('no e', 'nd') and 'a value'", "Enter", "io.write('the o', 'ther') error 'wise'", "Enter")
    window:matches '\nno end\n"a value"\n.*\nthe other\nstdin:%d: wise\n'
    window:keys("io.write(('='):rep(80)) and 'be' .. 'low'", "Enter")
    window:matches '\n=+\n"below"\n>\n$'
    window:keys("_PROMPT = 'above\\n> '", "Enter")
    window:keys("mp.Process{target = function() for i = 1, 3 do mp.sleep(0.2) print('row', i) end end}:start()",
      "Enter", "xyz")
    window:matches "\nabove\nrow +1\nrow +2\nrow +3\n> xyz\n$"
    window:keys("C-u", "_PROMPT = setmetatable({}, {__tostring = error})", "Enter", "'still ' .. 'there'", "Enter")
    window:sees '\n"still there"\n>'
  end)

  it("has its line back when it has its terminal back", function()
    local window <close> = tmux.start { command = "bash --norc -i",
      env = { PS1 = "$ ", XDG_STATE_HOME = home, LC_ALL = "C.UTF-8", INPUTRC = "/dev/null", NO_COLOR = "1" } }
    window:matches "^%$\n"
    window:keys(MOONPOOL .. " -j 1", "Enter")
    window:sees "\n>\n"
    window:keys "print('ha"
    window:sees "> print('ha"
    window:keys "C-z"
    window:sees "Stopped"
    window:keys("bg", "Enter", "fg", "Enter")
    window:matches "fg\n[^\n]*\n> print%('ha\n$"
    window:keys("lf')", "Enter")
    window:sees "\nhalf\n"
    window:keys("mp.getpid()", "Enter", "'ty")
    local pid = window:matches "\n%d+\n> 'ty":match "\n(%d+)\n> 'ty"
    os.execute("kill -STOP " .. pid)
    window:matches "> 'ty\n[^\n]*Stopped"
    window:keys("fg", "Enter")
    window:matches "fg\n[^\n]*\n> 'ty\n$"
    window:keys("ped'", "Enter")
    window:sees '\n"typed"\n'
  end)

  it("has its keys shown where what it evaluated ended in the background", function()
    local window <close> = tmux.start { command = "bash --norc -i",
      env = { PS1 = "$ ", XDG_STATE_HOME = home, LC_ALL = "C.UTF-8", INPUTRC = "/dev/null", NO_COLOR = "1" } }
    local go = home .. ".go"
    window:matches "^%$\n"
    window:keys(MOONPOOL .. " -j 1", "Enter")
    window:sees "\n>\n"
    window:keys(("path = %q"):format(go), "Enter")
    window:keys("pool:map(function() while not io.open(path) do mp.sleep(0.01) end end, {1}, {progress = 'so far'})",
      "Enter")
    window:sees "\nso far   0% |"
    window:keys "C-z"
    window:sees "Stopped"
    window:keys("bg", "Enter")
    window:matches "&\n%$\n$"
    io.open(go, "w"):close()
    window:sees "{n = 1}"
    window:keys("echo in the sh''ell", "Enter")
    window:matches "\nin the shell\n%$\n$"
    window:keys("fg", "Enter")
    window:matches "\n%$ fg\n[^\n]*\nso far 100%% |[^\n]*\n>\n$"
    window:keys "'ty"
    window:matches "\nso far 100%% |[^\n]*\n> 'ty\n$"
    window:keys("ped'", "Enter")
    window:matches '\n> \'typed\'\n"typed"\n>\n$'
    window:keys("C-d", "stty -a | grep -o '[ -]icanon\\|[ -]echo '", "Enter")
    window:matches "\n icanon\n echo\n%$\n$"
    os.remove(go)
  end)

  it("has words for what is to be known", function()
    local window <close> = start()
    local module = home .. ".lua"
    local function write(text)
      local file <close> = io.open(module, "w")
      file:write(text)
    end
    write "return {answer = function() return 41 end}"
    window:keys(("package.path = %q"):format(home:match "^.*/" .. "?.lua"), "Enter")
    window:keys(("m = require %q"):format(home:match "[^/]*$"), "Enter")
    window:keys("pool:map(function() return m.answer() end, {1, 2})", "Enter")
    window:sees "{41, 41, n = 2}"
    write "return {answer = function() return 42 end}"
    window:keys(("m = reload %q"):format(home:match "[^/]*$"), "Enter")
    window:keys("pool:map(function() return m.answer() end, {1, 2})", "Enter")
    window:sees "{42, 42, n = 2}"
    window:keys("local function dawdle(s) mp.sleep(s) return 'at last' end", "Enter")
    window:keys("timeit(dawdle, 0.2)", "Enter")
    window:matches "\n0%.2%d* +\"at last\"\n"
    window:keys("dawdle(1) &", "Enter", "wait(0), wait()", "Enter")
    window:matches "\nfalse +true\n"
    window:keys("dawdle(1000) &", "Enter", "mp.sleep(0.5)", "Enter", "workers()", "Enter")
    window:matches "\npid %d+ .*\n +%d +%d+ +busy +1 +[%d.]+ m?s "
    window:keys("for _, w in ipairs(pool:workers()) do if w.state == 'busy' then print(where(w.pid)) end end", "Enter")
    window:matches "\nstack traceback:\n.*\n%s+stdin:6: in "
    window:keys("help(pool.map)", "Enter")
    window:matches "\npool:map%(f, [^\n]*\n"
    os.remove(module)
  end)

  it("keeps what is declared local, as all functions see it, in workers too", function()
    local window <close> = start()
    window:keys("local base, step <const> = 100, 10", "Enter")
    window:keys("local function f(i) return base + step * i end", "Enter")
    window:keys("pool:map(f, {1, 2})", "Enter")
    window:sees "{110, 120, n = 2}"
    window:keys("base = 200", "Enter", "f(1), pool:map(f, {1, 2})", "Enter")
    window:matches "\n210 +{210, 220, n = 2}\n"
    window:keys("step = 5", "Enter")
    window:sees "attempt to assign to const variable 'step'"
  end)

  it("shows errors with the worker's traceback and the lines typed", function()
    local window <close> = start()
    window:keys("local function bad(x)", "Enter", "return x .. nil", "Enter", "end ", "Enter")
    window:keys("pool:map(bad, {1})", "Enter")
    window:sees "stdin:2: attempt to concatenate a nil value"
    window:matches "\n +stdin:2: in [^\n]*\n +return x %.%. nil\n"
  end)

  it("shows error values as it shows values", function()
    local window <close> = start()
    window:keys("error {code = 2}", "Enter")
    window:matches "\n{code = 2}\nstack traceback:\n[^\n]*'error'\n +stdin:1: in main chunk\n"
    window:keys("error()", "Enter")
    window:matches "\nnil\nstack traceback:\n"
    window:keys("error {setmetatable({}, {__tostring = error})}", "Enter")
    window:sees "\n(error object is a table value)\nstack traceback:\n"
  end)

  it("submits a line that ends in &", function()
    local window <close> = start()
    window:keys("local function slow(x) mp.sleep(0.1) return x * 2 end", "Enter")
    window:keys("slow(21) &", "Enter")
    window:sees "\n[1] slow(21)\n"
    window:sees "[1] done: slow(21) in"
    window:keys("_1, job(1):get()", "Enter")
    window:matches "\n42 +42\n"
    window:keys("error 'no such luck' &", "Enter")
    window:matches "%[2%] failed: error 'no such luck' after [%d.]+ s: stdin:4: no such luck"
  end)

  it("lets Ctrl-C end what is evaluated, and nothing else", function()
    local window <close> = start()
    window:keys("print('round' .. ' and round') while true do end", "Enter")
    window:sees "\nround and round\n"
    window:keys "C-c"
    window:sees "stdin:1: interrupted!"
    window:keys("pool:map(function(i) mp.sleep(1) return i end, {1, 2})", "Enter")
    window:sees "{1, 2})"
    while #window:tell "list-panes" > 0 and not window:text():find "goes on" do
      window:keys "C-c"
      os.execute "sleep 0.3"
      if window:text():find "y/N" then
        window:keys("n", "Enter")
      end
    end
    window:sees "[1] done: map 2 items"
    window:keys("'al' .. 'ive'", "Enter")
    window:sees '\n"alive"\n'
  end)

  it("says where Ctrl-C has ended a callback, and leaves what is typed", function()
    local window <close> = start()
    window:keys("function f() print('round' .. ' and round') while true do end end", "Enter")
    window:keys("pool:apply_async(math.sqrt, {4}, function() f() end)", "Enter")
    window:sees "\nround and round\n"
    window:keys("C-c", "'half ty")
    window:matches("stdin:1: interrupted!\nstack traceback:\n +stdin:1: in [^\n]*\n +function f%(%)[^\n]*\n"
      .. " +stdin:2: in [^\n]*\n[^\n]*\n +%[C%]: in %?\n.*> 'half ty\n$")
    window:keys("ped'", "Enter")
    window:sees '\n"half typed"\n'
  end)

  it("offers to cancel the jobs at the second Ctrl-C, and asks before it ends with some", function()
    local window <close> = start()
    window:keys("mp.sleep(1000) &", "Enter")
    window:matches "\n%[1%] mp.sleep%(1000%)\n>\n$"
    window:keys "C-d"
    window:sees "Cancel 1 running job and end? (y/N)"
    window:keys("n", "Enter")
    window:matches ">\n$"
    while not window:text():find "Cancel 1 running job%?" do
      window:keys("C-c", "C-c")
      os.execute "sleep 0.2"
    end
    window:keys("y", "Enter")
    window:sees "[1] cancelled: mp.sleep(1000)"
    window:keys "C-d"
    window:sees "ended 0"
  end)

  it("waits for a job in the foreground, and leaves it at Ctrl-C", function()
    local window <close> = start()
    window:keys("pool:map_async(function(i) mp.sleep(1) return i end, mp.range(100))", "Enter")
    window:keys("fg(1)", "Enter")
    window:matches "map 100 items +%d+%%"
    window:keys "C-c"
    window:sees "interrupted!"
    window:keys("job(1):state()", "Enter")
    window:sees '"running"'
    window:keys("cancel(1)", "Enter")
    window:sees "[1] cancelled: map 100 items"
  end)

  it("completes names, fields and methods", function()
    local window <close> = start()
    window:keys("mp.process_c", "Tab")
    window:sees "> mp.process_cpu_count"
    window:keys("C-u", "local zebra_crossing = {stripes = 1}", "Enter")
    window:keys("zeb", "Tab", ".st", "Tab", "Enter")
    window:sees "> zebra_crossing.stripes\n1\n"
    window:keys("pool:starm", "Tab", "Tab", "Tab")
    window:matches "starmap +starmap_async"
    window:keys("C-u", "pool:ne", "Tab", "w = 1")
    window:sees "> pool:new = 1"
    window:keys("C-u", "rawget(_G, 'pool')", "Enter")
    window:sees "\nnil\n"
    window:keys("C-u", "r = pool:apply_async(math.sqrt, {1})", "Enter")
    window:sees "\n[1] done"
    window:keys("r.", "Tab", "Tab")
    window:matches "\ncancel +get +ready +successful +wait *\n> r%.\n$"
    window:keys("C-u", "dofile('/etc/host", "Tab")
    window:sees "dofile('/etc/host"
  end)

  it("takes what is pasted line by line", function()
    local window <close> = start()
    local lines = {}
    for i = 1, 198 do
      lines[i] = i % 2 == 1 and ("local v%d = %d"):format(i, i) or ("sum = (sum or 0) + v%d"):format(i - 1)
    end
    lines[199], lines[200] = "for i = 1, 1 do", "sum = sum + 1000 end"
    window:paste(table.concat(lines, "\n"))
    window:sees "sum = sum + 1000 end"
    window:keys "Enter"
    window:keys("'sum ' .. sum", "Enter")
    window:sees(('"sum %d"'):format(99 * 99 + 1000))
  end)

  it("has the history of earlier sessions, in a file of the user's own", function()
    do
      local window <close> = start()
      window:keys("first = 'session'", "Enter", "os.exit(3)", "Enter")
      window:sees "ended 3"
    end
    local window <close> = start()
    window:keys("Up", "Up", "Enter", "first .. ' one'", "Enter")
    window:sees '"session one"'
    window:keys("C-r", "sess")
    window:sees "first .. ' one'"
    local pipe <close> = io.popen(("stat -c %%a %s/moonpool/history"):format(home))
    assert.equal("600", pipe:read())
  end)

  it("stays whole when the window changes its size", function()
    local window <close> = start { columns = 100 }
    window:keys("'" .. ("x"):rep(60))
    window:sees(("x"):rep(60))
    window:resize(40, 10)
    window:keys("y'", "Enter")
    window:sees(('\n"%sy"\n'):format(("x"):rep(60)))
  end)

  it("cuts lines of workers() where the window ends, and says so", function()
    local window <close> = start { columns = 30 }
    window:keys("pool:workers()[2].state and workers()", "Enter")
    window:matches "\npid %d+ [^\n]*…\n"
    for line in window:text():gmatch "[^\n]+" do
      assert.truthy(utf8.len(line) <= 30 or line:find "workers%(%)" or line:find "Copyright", line)
    end
  end)

  it("tells of workers that are killed, and goes on", function()
    local window <close> = start()
    window:keys((TELL_PIDS:gsub("\n", " ")), "Enter")
    local pids = told(window)
    window:keys("pool:map_async(function(i) mp.sleep(1000) end, {1, 2})", "Enter")
    window:sees "[1] running"
    window:keys "'what was ty"
    for i = 2, #pids do
      os.execute(("kill -9 %d 2>/dev/null"):format(pids[i]))
    end
    window:matches "\n%[1%] failed: map 2 items after [%d.]+ s: [^\n]*\n> 'what was ty\n$"
    window:keys("ped'", "Enter", "pool:map(function(i) return i * 111 end, {1, 2})", "Enter")
    window:sees "{111, 222, n = 2}"
  end)

  it("leaves nobody behind when its terminal goes away", function()
    local window <close> = start()
    window:keys((TELL_PIDS:gsub("\n", " ")), "Enter")
    local pids = told(window)
    window:keys("mp.sleep(1000) &", "Enter")
    window:sees "\n[1] mp.sleep(1000)\n"
    window:hang_up()
    assert.is_true(script.gone(pids, 30))
  end)

  it("closes at its end what was declared <close>", function()
    local window <close> = start()
    window:keys("local a <close> = setmetatable({}, {__close = function() print 'closed a' end})", "Enter")
    window:keys("local b <close> = setmetatable({}, {__close = function() print 'closed b' end})", "Enter")
    window:keys("a ~= b", "Enter")
    window:sees "\ntrue\n"
    window:keys "C-d"
    window:sees "\nclosed b\nclosed a\nended 0"
  end)
end)
