-- The line loop of `moonpool -i` and of a terminal.

local program = require "spec.cli.program"

local function talk(lines, ...)
    return program.run_moonpool({"-i", ...}, {stdin = lines})
end

-- What it says behind the line with the version.
local function answers(lines, ...)
    return (talk(lines, ...).out:gsub("^[^\n]*\n", "", 1))
end

describe("the line loop", function()
    setup(program.enter)
    teardown(program.leave)

    it("prints what expressions give, and ends with its input", function()
        local result = talk("1 + 1\n'a', nil, 2.0\nnothing()\n")
        assert.matches("^Moonpool [^\n]*\n> 2\n> \"a\"\tnil\t2.0\n> > \n$", result.out)
        assert.are.equal(0, result.exit)
    end)

    it("runs statements and keeps globals", function()
        assert.are.equal("> > 4\n> \n", answers("x = 4\nx\n"))
    end)

    it("takes = for return", function()
        assert.are.equal("> 5\t6\n> >> 7\n> \n", answers("=5, 6\n=3 +\n4\n"))
    end)

    it("reads on where a line is not complete", function()
        assert.are.equal("> >> >> 1\n2\n> \n", answers("for i = 1, 2 do\nprint(i)\nend\n"))
        assert.are.equal("> >> a\nb\n> \n", answers("print [[a\nb]]\n"))
        assert.matches("<eof>\n$", talk("f(\n").err)
    end)

    it("takes lines of any length, and a last one without an end", function()
        assert.are.equal("> 100000\n> \n", answers("#'" .. ("x"):rep(100000) .. "'"))
    end)

    it("shows errors with their traceback and goes on", function()
        local result = talk("error('oh')\n1\n")
        assert.are.equal("stdin:1: oh\nstack traceback:\n\t[C]: in function 'error'\n" ..
            "\tstdin:1: in main chunk\n\t[C]: in ?\n", result.err)
        assert.matches("\n> > 1\n> \n$", result.out)
    end)

    it("has its prompts from _PROMPT and _PROMPT2", function()
        assert.are.equal("> $ * 1\n$ \n", answers("_PROMPT, _PROMPT2 = '$ ', '* '\nprint(\n1)\n"))
        assert.are.equal("> [1]2\n[2]\n", answers("n = 0 _PROMPT = setmetatable({}, {__tostring = function() " ..
            "n = n + 1 return '[' .. n .. ']' end})\n2\n"))
    end)

    it("has the module as mp, unless mp is something else", function()
        assert.are.equal("> true\n> \n", answers("mp == require 'moonpool'\n"))
        assert.are.equal("> 8\n> \n", answers("mp\n", "-e", "mp = 8"))
    end)

    it("lets jobs come to their end where nobody can be asked", function()
        local said = answers("r = pool:map_async(function(i) mp.sleep(0.2) return i end, {1, 2}, {callback = " ..
            "function(v) print('got', v.n) end})\nmp.sleep(0.3) print 'told' &\n")
        assert.matches("\ngot\t2\n", said)
        assert.matches("\n%[2%] told\n", said)
        assert.matches("\n%[1%] done: map 2 items in [^\n]*\n", said)
    end)

    it("counts a job's time from its call's beginning", function()
        local said = answers("pool:map(function() local t = mp.monotonic() os.execute('kill -INT ' .. " ..
            "mp.parent_process().pid) return t end, {1})\nwait()\njob(1).began <= _1[1]\n")
        assert.matches("^> %[1%] goes on: map 1 item;", said)
        assert.matches("\n> true\n> \n$", said)
    end)

    it("keeps the values of jobs, and not the pools that were replaced", function()
        local result = talk("local pids = {}\nfor i = 1, 3 do pool = mp.Pool(1); pids[i] = pool:workers()[1].pid; " ..
            "pool:map_async(print, {i}) pool:apply_async(error, {'no', 0}) " ..
            "pool:apply_async(math.sqrt, {i * i}) end\n" ..
            "wait()\ncollectgarbage() collectgarbage()\n" ..
            "repeat mp.sleep(0.01) until not io.open('/proc/' .. pids[1] .. '/stat')\n" ..
            "repeat mp.sleep(0.01) until not io.open('/proc/' .. pids[2] .. '/stat')\n" ..
            "_3, _6, job(3):get(), _1.n, job(1):output(), job(3):ready(), job(2):successful(), job(1):cancel()\n" ..
            "job(2):get()\njobs()\n")
        assert.matches("\n[> ]*1.0\t2.0\t1.0\t1\t1\ttrue\tfalse\tfalse\n", result.out)
        assert.matches("\n[> ]*%[1%] done +1/1  [%d.]+ s  map 1 item\n%[2%] failed ", result.out)
        assert.matches("^no\n", result.err)
        assert.is_nil(result.err:find("collected", 1, true), result.err)
    end)

    it("submits what stands before &, and says what cannot be", function()
        local result = talk("f = function(x) return x + 1 end\nx = f(1) &\nlocal y = 2 &\nf(1)& -- two\n" ..
            "wait() &\npool:map(f, {1, 2}) &\nfor i = 1, 2 do io.write(i) end &\nlocal c = coroutine.create(f)\n" ..
            "c &\napply = pool:apply_async(f, {8})\n1 +\n1 &\npool = 5\nf(2) &\nwait()\n_1, _2, _3.n, _5, _6\n")
        assert.matches(">> %[6%] 1 %+ 1\n", result.out)
        assert.matches("> 2\ttrue\t2\t9\t2\n", result.out)
        assert.are.equal(2, select(2, result.err:gsub("a worker would have that name", "")))
        assert.matches("cannot send a thread", result.err)
        assert.matches("%[5%] done: apply in", result.out)
        assert.matches("\n> 3\n", talk("f = function(t) return t.pool end\nf {pool = 3} &\nwait()\n_1\n").out)
        for _, line in ipairs {"pool:reduce(f, f, {1}) &", "(pool:map(f, {1})) &",
            "pool:map(f, {1}), pool:map(f, {2}) &"} do
            assert.matches("^stdin:2: a pool cannot go to a worker; [^\n]*\n$", talk("f = print\n" .. line .. "\n").err)
        end
    end)

    it("has help on all that is public", function()
        local said = answers([[
for name, f in pairs(mp) do if type(f) == "function" and name:sub(1, 1) ~= "_" then help(f) end end
a, b = mp.Pipe(); q = mp.JoinableQueue()
known = {[pool] = "map", [a] = "send recv close", [q] = "put get task_done", [mp.Lock()] = "acquire hold"}
known[mp.Array("d", 2)], known[mp.Value("d")], known[mp.Process{}] = "slice fill", "add get_lock", "start join"
known[mp.Barrier(2)], known[mp.Condition()], known[mp.Event()] = "wait abort", "notify", "is_set"
for object, names in pairs(known) do help(object) for name in names:gmatch "%S+" do help(object[name]) end end
help(q.put) help "QUEUE.put" help "map"
]])
        assert.is_nil(said:find("nothing is known", 1, true), said)
        local _, puts = said:gsub("queue:put%(v %[, block %[, timeout%]%]%)\n  puts", "")
        assert.equal(3, puts, said)
        assert.matches("\npool:map%(f, [^\n]*\n  table of", said)
        assert.equal("> nothing is known of number 3; help() lists what is\n> \n", answers("help(3)\n"))
    end)

    it("has help on functions that are not the library's", function()
        assert.equal("> string.rep: a C function\n> print: a C function\n> a C function\n" ..
            "> > f(a, b, ...)\n  stdin:4\n> > g()\n  stdin:6\n> function(x)\n  stdin:8\n> \n",
            answers("help(string.rep)\nhelp(print)\nhelp((string.gmatch('', '')))\n" ..
            "function f(a, b, ...) local c end\nhelp(f)\nlocal g = function() end\n" ..
            "help(g)\nhelp(function(x) return x end)\n"))
    end)

    it("has no colours where the terminal is none that knows them", function()
        for kind, coloured in pairs {[""] = false, dumb = false, vt100 = true} do
            local result = program.run("script", {"-qec", program.moonpool, "/dev/null"},
                {stdin = "6 * 7\n", env = {TERM = kind, XDG_STATE_HOME = "/dev/null/none"}})
            assert.equal(coloured, result.out:find "\27" ~= nil, result.out)
        end
    end)

    it("ends where there is no input, and lets nothing take its place", function()
        local result = program.run("sh", {"-c", program.moonpool .. " -i <&-; echo ended $?"}, {})
        assert.matches("\n> \nended 0\n$", result.out)
    end)

    it("comes behind the script", function()
        assert.are.equal("1\n> 2\n> \n", answers("x + 1\n", "-e", "x = 1 print(x)"))
    end)

    it("comes by itself on a terminal only", function()
        local result = program.run("script", {"-qec", program.moonpool, "/dev/null"}, {stdin = "6 * 7\nos.exit(3)\n"})
        assert.are.equal(3, result.exit)
        assert.matches("Moonpool [^\n]*\n.*> .*42[^\n]*\r\n", result.out)
    end)

    it("is there in any program", function()
        local result = program.run(program.stock, {"-e", "require 'moonpool'.repl() print 'behind'"},
            {stdin = "local x = 20\nx + 1\npool:map(function(i) return i + x end, {1})\n"})
        assert.are.equal("> > 21\n> {21, n = 1}\n> \nbehind\n", result.out)
        assert.are.equal("", result.err)
    end)

    it("closes what was declared <close>, the last first, and what a failed line has opened", function()
        local lines = "function c(n) return setmetatable({}, {__close = function() print(n) end}) end\n" ..
            "local a <close>, k = c 'a', 1\nlocal b <close> = c 'b'\nlocal d <close> = c 'd'; error 'oh'\nk\n"
        local result = talk(lines)
        assert.matches("^[^\n]*\n> > > > d\n> 1\n> \nb\na\n$", result.out)
        assert.matches("^stdin:4: oh\n", result.err)
    end)

    it("shows where the line was that has raised an error of the library's", function()
        local said = talk("warn '@off'\npool:apply_async(print, {}, function() error 'oh' end)\nwait()\n").err
        assert.are.equal("stdin:2: oh\nstack traceback:\n\tstdin:3: in main chunk\n\t[C]: in ?\n", said)
    end)

    it("goes on behind an interrupt, and can be interrupted again", function()
        local interrupt = "io.popen('kill -INT $PPID') while true do end\n"
        local result = talk(interrupt .. "1\n" .. interrupt .. "2\n")
        assert.are.equal(0, result.exit)
        assert.are.equal("> > 1\n> > 2\n> \n", (result.out:gsub("^[^\n]*\n", "", 1)))
        assert.are.equal(2, select(2, result.err:gsub("stdin:[13]: interrupted!\n", "")))
    end)
end)
