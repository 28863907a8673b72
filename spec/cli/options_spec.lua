-- What Moonpool's command line has beyond stock Lua's.

local program = require "spec.cli.program"
local run = program.run_moonpool

describe("moonpool", function()
    setup(program.enter)
    teardown(program.leave)

    it("tells its version and Lua's, and does nothing more", function()
        local result = run({"-v"}, {stdin = "print('not read')"})
        assert.are.equal(0, result.exit)
        assert.matches("^Moonpool %d+%.%d+%.%d+%s+Lua 5%.4%.%d+[^\n]*\n$", result.out)
        assert.are.equal("", result.err)
    end)

    it("goes on behind -v with what else is asked for", function()
        assert.matches("^Moonpool [^\n]*\n7\n$", run({"-v", "-e", "print(7)"}).out)
    end)

    it("has its warnings on", function()
        assert.are.equal("Lua warning: heard\n", run({"-e", "warn('heard')"}).err)
        assert.are.equal("Lua warning: early\n", run({"-e", ""}, {env = {LUA_INIT = "warn('early')"}}).err)
        assert.are.equal("", run({"-e", "warn('@off') warn('unheard')"}).err)
    end)

    it("has the module at hand, loaded by who requires it", function()
        local code = "print(package.loaded.moonpool, type(package.preload.moonpool))" ..
            "print(type(require 'moonpool'), rawget(_G, 'mp'))"
        local result = run({"-e", code}, {env = {LUA_PATH = "none", LUA_CPATH = "none"}})
        assert.are.equal("nil\tfunction\ntable\tnil\n", result.out)
        assert.are.equal("true\n", run({"-l", "mp=moonpool", "-e", "print(mp == require 'moonpool')"}).out)
    end)

    describe("-j", function()
        local code = "print(math.type(debug.getregistry()['moonpool.default_processes'])," ..
            "debug.getregistry()['moonpool.default_processes'])"

        it("hands on the number of workers", function()
            assert.are.equal("integer\t3\n", run({"-j", "3", "-e", code}).out)
            assert.are.equal("integer\t12\n", run({"-j12", "-e", code}).out)
            assert.are.equal("integer\t5\n", run({"-j4", "-e", code, "-j", "5"}).out)
            assert.are.equal("integer\t2\n", run({"-j2", "-e", ""}, {env = {LUA_INIT = code}}).out)
            assert.are.equal("nil\tnil\n", run({"-e", code}).out)
        end)

        it("stands in arg like the other options", function()
            assert.are.equal("-j\t3\n", run({"-j", "3", "-"}, {stdin = "print(arg[-2], arg[-1])"}).out)
        end)

        for _, words in ipairs {
            {"-j"}, {"-j", "0"}, {"-j0"}, {"-j", "-1"}, {"-j", "x"}, {"-j3x"}, {"-j", "1.5"}, {"-j", ""},
            {"-j", "+3"}, {"-j", " 3"}, {"-j", "99999999999999999999"}, {"-j", "4294967297"}, {"-j", "-e"},
        } do
            it("wants a positive integer: " .. table.concat(words, " "), function()
                words[#words + 1] = "script.lua"
                local result = run(words)
                if words[2] == "script.lua" then
                    words[2] = nil
                    result = run(words)
                end
                assert.are.equal(1, result.exit)
                assert.are.equal("", result.out)
                assert.matches("^moonpool: '%-j' needs a positive integer\nusage: moonpool %[options%]", result.err)
            end)
        end
    end)

    it("lists all its options where one is wrong", function()
        local err = run({"-?"}).err
        assert.matches("^moonpool: unrecognized option '%-%?'\n", err)
        for option in ("eilvEWj"):gmatch(".") do
            assert.matches("\n  %-" .. option .. " ", err)
        end
    end)

    it("writes whole error messages, zeros too", function()
        assert.are.equal("moonpool: a\0b\nstack", run({"-e", "error('a\\0b', 0)"}).err:sub(1, 19))
    end)

    it("ends by SIGTERM", function()
        local result = run({"-e", "io.popen('kill -TERM $PPID') while true do end"})
        assert.are.equal(15, result.signal)
    end)
end)
