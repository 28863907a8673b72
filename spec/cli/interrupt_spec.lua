-- Ctrl-C. The scripts send the signal to themselves, by a child that waits until
-- forever() is in its loop, or, where another loop is meant, for a moment.

local program = require "spec.cli.program"

local prelude = [[
local child, told
local function interrupt() child = io.popen("read line; kill -INT $PPID", "w") told = false end
local function interrupt_soon() io.popen("sleep 0.1; kill -INT $PPID") end
local function forever() told = told or child:write("\n"):flush() while true do end end
local function closing(name)
    return setmetatable({}, {__close = function()
        for _ = 1, 1000 do end
        print("closed " .. name)
    end})
end
]]

local function run(code)
    return program.run_moonpool({"-"}, {stdin = prelude .. code})
end

-- The script ends as by an error, says so, and does not come to its end.
local function assert_stopped(result)
    assert.are.equal(1, result.exit)
    assert.matches("^moonpool: .*stdin:%d+: interrupted!\n.*stack traceback:\n", result.err)
    assert.is_nil(result.out:find("not reached", 1, true))
end

describe("an interrupt", function()
    setup(program.enter)
    teardown(program.leave)

    it("stops a loop, with its place and traceback", function()
        local result = run("local x <close> = closing 'x'\ninterrupt()\nforever()\nprint 'not reached'")
        assert_stopped(result)
        assert.matches("stdin:4: in .*'forever'.*\n.*stdin:%d+: in main chunk", result.err)
        assert.are.equal("closed x\n", result.out)
    end)

    it("stops loops of every kind", function()
        for _, loop in ipairs {
            "while true do end", "repeat until false", "for i = 1, math.huge do end", "::a:: goto a",
            "for _ in function() return 1 end do end", "while true do math.abs(1) end",
            "local function f() return f() end f()", "while true do setmetatable({}, {__gc = print}) end",
            "table.sort({}, print) local t = setmetatable({}, {__index = function() return 1 end}) while t.x do end",
            "while true do pcall(error) end", "while true do coroutine.wrap(function() end)() end",
            "string.gsub(('x'):rep(1e8), 'x', function() end)",
        } do
            assert_stopped(run("interrupt_soon() " .. loop .. " print 'not reached'"))
        end
    end)

    it("stops a coroutine under wrap", function()
        local result = run("local f = coroutine.wrap(function()\n  local x <close> = closing 'x'\n" ..
            "  forever()\nend)\nlocal y <close> = closing 'y'\ninterrupt()\nf()\nprint 'not reached'")
        assert_stopped(result)
        assert.matches("coroutine stack traceback:\n.-\tstdin:4: in .*\n\tstdin:13: in .*\nstack traceback:\n",
            result.err)
        assert.are.equal("closed x\nclosed y\n", result.out)
    end)

    it("stops a coroutine under resume, which does not hide it", function()
        local result = run("local co = coroutine.create(function()\n  local x <close> = closing 'x'\n" ..
            "  forever()\nend)\nlocal y <close> = setmetatable({}, {__close = function()\n" ..
            "  print(coroutine.status(co)) end})\ninterrupt()\nprint(coroutine.resume(co))\nprint 'not reached'")
        assert_stopped(result)
        assert.matches("coroutine stack traceback:\n\tstdin:4: in .*\n\tstdin:13: in .*\nstack traceback:\n" ..
            "\t%[C%]: in function 'coroutine.resume'\n", result.err)
        assert.are.equal("closed x\ndead\n", result.out)
    end)

    it("stops the innermost of several coroutines, and those around it", function()
        assert_stopped(run [[
            local function nest(n)
                if n == 0 then return forever() end
                if n % 2 == 0 then return coroutine.wrap(nest)(n - 1) end
                return coroutine.resume(coroutine.create(nest), n - 1)
            end
            interrupt()
            nest(20)
            print "not reached"]])
    end)

    it("stops whichever coroutine of a scheduler runs", function()
        assert_stopped(run [[
            local tasks = {}
            for i = 1, 50 do
                tasks[i] = coroutine.create(function() while true do coroutine.yield() end end)
            end
            interrupt_soon()
            while true do
                for _, task in ipairs(tasks) do coroutine.resume(task) end
            end]])
    end)

    it("finds a coroutine among those that come and go", function()
        assert_stopped(run [[
            local kept, seed = {}, 1
            for i = 1, 20000 do
                seed = (seed * 1103515245 + 12345) % 2147483648
                kept[seed % 300] = coroutine.create(forever)
                if i % 3 == 0 then kept[(seed >> 8) % 300] = nil end
                if i % 1000 == 0 then collectgarbage() end
            end
            interrupt()
            coroutine.resume(select(2, next(kept)))
            print "not reached"]])
    end)

    it("cuts a read short", function()
        assert_stopped(run "os.execute('mkfifo f') interrupt_soon() io.open('f', 'r+'):read() print 'not reached'")
    end)

    it("can be caught by pcall, and what follows is run", function()
        local result = run [[
            interrupt()
            local ok, message = pcall(forever)
            print(ok, message)
            print(xpcall(print, print, "cleaned up"))
            print(pcall(coroutine.wrap(function() coroutine.yield("whole") end)))]]
        assert.are.equal(0, result.exit)
        assert.are.equal("false\tstdin:4: interrupted!\ncleaned up\ntrue\ntrue\twhole\n", result.out)
    end)

    it("tells where the script stands, not where the library does", function()
        for _, wait in ipairs {"mp.sleep, 60", "mp.Queue().get, mp.Queue()"} do
            local result = run(("local mp = require 'moonpool' interrupt_soon()\nprint(pcall(%s))"):format(wait))
            assert.matches("^false\tstdin:1[12]: interrupted!\n$", result.out)
        end
    end)

    it("goes through the handler of xpcall", function()
        local result = run "interrupt() print(xpcall(forever, function(m) return 'handled ' .. m end))"
        assert.are.equal("false\thandled stdin:4: interrupted!\n", result.out)
    end)

    it("ends a loop around pcall", function()
        for _, loop in ipairs {
            "while true do\n  print(pcall(forever))\nend",
            "while true do\n  print(xpcall(forever, debug.traceback))\nend",
            "while true do\n  print(pcall(coroutine.wrap(forever)))\nend",
            "while true do\n  print(pcall(coroutine.resume, coroutine.create(forever)))\nend",
            "while true do\n  print(pcall(function() local _, e = pcall(forever) error(e, 0) end))\nend",
            "coroutine.wrap(function() while true do\n  print(pcall(forever))\nend end)()",
            "coroutine.wrap(function() while true do\n  print(pcall(function() coroutine.yield() forever() end))\n" ..
                "end end)() forever()",
        } do
            local result = run("interrupt()\n" .. loop .. "\nprint 'not reached'")
            assert_stopped(result)
        end
    end)

    it("kills where it comes a second time", function()
        local result = run [[
            interrupt()
            pcall(forever)
            io.stdout:write("caught"):flush()
            interrupt()
            pcall(forever)]]
        assert.are.equal(2, result.signal)
        assert.are.equal("caught", result.out)
        assert.are.equal("", result.err)
    end)

    it("leaves alone what coroutines and protected calls do otherwise", function()
        local code = [[
            print(pcall(error, "x"))
            print(pcall(error))
            print(xpcall(error, function(m) return "h" .. m end, "x"))
            print(xpcall(function(...) return select("#", ...), ... end, print, 1, nil, 3))
            print(pcall(pcall))
            print(pcall(xpcall))
            print(pcall(xpcall, print))
            local co = coroutine.wrap(function(...)
                print("in", ...)
                print(pcall(function(a) print(coroutine.yield(a)) error("after") end, "first"))
                print(xpcall(function(a) return a, coroutine.yield(a) end, print, "second"))
                print(select("#", pcall(coroutine.yield)))
                return "end"
            end)
            print(co(1, 2)) print(co("r1")) print(co("r2")) print(co("a", "b")) print(pcall(co))
            print(coroutine.resume(coroutine.create(function() error({}) end)))
            print(coroutine.resume(coroutine.create(function() error("x: interrupted!", 0) end)))
            print(coroutine.resume(coroutine.running()))
            print(pcall(coroutine.resume))
            print(pcall(string.rep, "x", 1 << 62))
            local function deep(n) if n > 0 then return select(2, pcall(deep, n - 1)) end return "bottom" end
            print(deep(100), (select(2, pcall(deep, 300))))]]
        local clean = function(result)
            result.out = result.out:gsub("0x%x+", "ADDRESS")
            return result
        end
        assert.are.same(clean(program.run(program.stock, {"-"}, {stdin = code})),
            clean(program.run_moonpool({"-"}, {stdin = code})))
    end)
end)
