-- Moonpool's program beside stock Lua's: the same command lines, the same files,
-- the same outcome. Where the two differ on purpose, other specs say how.
-- timeout: 120

local program = require "spec.cli.program"

local files = {
    ["args.lua"] = [[
        print(...)
        for i = -9, 9 do if arg[i] then print(i, arg[i]) end end
        print(#arg, select("#", ...))]],
    ["error.lua"] = "local function f()\n  error('went wrong')\nend\nf()\n",
    ["syntax.lua"] = "local x = = 1\n",
    ["shebang.lua"] = "#!/usr/bin/env lua\nprint(debug.getinfo(1).currentline, ...)\nerror('e')\n",
    ["module.lua"] = "print('loaded', ...) return {answer = 42}\n",
    ["broken.lua"] = "error('cannot load this')\n",
    ["exit.lua"] = "os.exit(tonumber(arg[1]) or arg[1] == 'true', arg[2] == 'close')\n",
    ["-dash.lua"] = "print('dash', ...)\n",
    ["close.lua"] = [[
        setmetatable({}, {__gc = function() print("collected") end})
        local x <close> = setmetatable({}, {__close = function(_, e) print("closed", e) end})
        error("at the end")]],
}

local with_tostring = "setmetatable({}, {__tostring = function() return 'I am me' end})"

-- Each is a list of arguments; `stdin` and `env` as in program.run.
local cases = {
    {"args.lua"}, {"args.lua", "a", "", "b c", "-e"}, {"-e", "x = 1", "args.lua", "a"},
    {"--", "args.lua", "a"}, {"--", "-dash.lua", "a"}, {"-W", "-E", "args.lua", "z"},
    {"-e", "print(...)"}, {"-e", "print(arg[0] ~= nil, #arg, arg[1])"}, {"-eprint(1)", "-e", "print(2)"},
    {"-e", "error('x')", "-e", "print('not reached')"}, {"-e", "x x"}, {"-e", ""}, {"-e", "return 1"},
    {"-e", "error({})"}, {"-e", "error(nil)"}, {"-e", "error(12)"}, {"-e", "error(true)"},
    {"-e", "error(" .. with_tostring .. ")"}, {"-e", "error('no place', 0)"},
    {"-e", "error(setmetatable({}, {__tostring = function() return 1 end}))"},
    {"-e", "error(setmetatable({}, {__tostring = function() error('deeper') end}))"},
    {"-e", "local function f() return f() + 1 end f()"},
    {"-e", "coroutine.wrap(function() error('inside') end)()"},
    {"-e", "print(coroutine.resume(coroutine.create(function() error('inside') end)))"},
    {"-e", "string.rep('x', -1, {})"}, {"-e", "pcall()"}, {"-e", "xpcall(print)"}, {"-e", "coroutine.resume(1)"},
    {"-l", "module", "-e", "print(module.answer)"}, {"-lmodule"}, {"-l", "m=module", "-e", "print(m.answer, module)"},
    {"-lm=module", "-e", "print(m.answer)"}, {"-l", "s=string", "-e", "print(s == string)"}, {"-l", "broken"},
    {"-l", "no.such"}, {"-l", "x=no.such", "-e", "print(1)"}, {"-lsyntax"},
    {"-e", "package.path = './?.lua'", "-l", "module", "args.lua"},
    {"error.lua"}, {"syntax.lua"}, {"shebang.lua", "q"}, {"no-such.lua"}, {""}, {"."}, {"close.lua"},
    {"-e", "arg = nil", "args.lua"}, {"-e", "arg = {'a', 'b', [7] = 'c'}", "args.lua"}, {"-e", "arg = 'x'", "args.lua"},
    {"exit.lua"}, {"exit.lua", "0"}, {"exit.lua", "3"}, {"exit.lua", "true"}, {"exit.lua", "false", "close"},
    {"exit.lua", "7", "close"}, {"exit.lua", "256"},
    {"-", "a", stdin = "print('in', ...) print(arg[0], arg[1])"}, {"-", stdin = "error('x')"}, {"-", stdin = "x x"},
    {"--", "-", stdin = "print(1)"}, {stdin = "print('in', ..., #arg)"}, {stdin = "error('x')"}, {stdin = "x x"},
    {stdin = "#! first line\nprint(debug.getinfo(1).currentline)"}, {"--", stdin = "print(1)"},
    {"-W", stdin = "print(1)"}, {"-e", "print(1)", stdin = "print('not read')"},
    {"-e", "print(io.read('a'))", stdin = "read by -e"},
    {"-x"}, {"-vx"}, {"-i5"}, {"-Ea"}, {"-Wx"}, {"--x"}, {"-e"}, {"-l"}, {"-e", "-x"}, {"-l", "--"}, {"-ex"},
    {"-E", "-e", "print(2)", env = {LUA_INIT = "print(1)"}},
    {"-e", "print(2)", env = {LUA_INIT = "print(1)"}},
    {"-e", "print(2)", env = {LUA_INIT = "print(1)", LUA_INIT_5_4 = "print(54)"}},
    {"-e", "print(2)", env = {LUA_INIT = "@module.lua"}}, {"-e", "print(2)", env = {LUA_INIT = "@none.lua"}},
    {"-e", "print(2)", env = {LUA_INIT = "error('init')"}}, {"-e", "print(2)", env = {LUA_INIT = "x x"}},
    {"-e", "print(2)", env = {LUA_INIT_5_4 = "x x"}}, {"-e", "print(2)", env = {LUA_INIT = ""}},
    {"args.lua", "a", env = {LUA_INIT = "print(#arg, arg[0])"}},
    {"-e", "print(package.path)", env = {LUA_PATH = "here/?.lua;;", LUA_PATH_5_4 = "there;;"}},
    {"-E", "-e", "print(package.path, package.cpath)", env = {LUA_PATH = "here/?.lua;;", LUA_CPATH = "x"}},
    {"-W", "-e", "warn('a', 'b') warn('@off') warn('c') warn('@on') warn('d') warn('@unknown')"},
    {"-W", "-e", "setmetatable({}, {__gc = function() error('in gc') end}) collectgarbage()"},
    {"-e", "warn('@off')", "-W", "-e", "warn('on again')"},
    {"-e", "print(collectgarbage('incremental'))"},
    {"-i", "error.lua", stdin = "print(1)"}, {"-i", "no-such.lua"},
    {"-i", "-e", "print(1)", stdin = "error('x')\nx x\nerror({})\nerror(" .. with_tostring .. ")\n"},
    {"-i", stdin = "os.exit(5)\n"},
}

local function describe_case(case)
    local words = {}
    for _, word in ipairs(case) do
        words[#words + 1] = ("%q"):format(word)
    end
    for name, value in pairs(case.env or {}) do
        words[#words + 1] = name .. "=" .. value
    end
    if case.stdin then
        words[#words + 1] = ("< %q"):format(case.stdin)
    end
    return table.concat(words, " ")
end

local function plain(text)
    return (text:gsub("%p", "%%%0"))
end

-- Both are called PROGRAM; the list of options, and the depth that the stack has, is each one's own.
local function normal(text, path)
    text = text:gsub(plain(path), "PROGRAM"):gsub("^moonpool:", "PROGRAM:")
    text = text:gsub("\nmoonpool:", "\nPROGRAM:"):gsub("usage: moonpool", "usage: PROGRAM")
    text = text:gsub("skipping %d+ levels", "skipping levels")
    return (text:gsub("(Available options are:\n).*", "%1"))
end

local function outcome(path, case)
    local result = program.run(path, case, case)
    result.err = normal(result.err, path)
    result.out = normal(result.out, path)
    if case[1] == "-i" then -- stock Lua's line editor writes what it reads, and each line is its first
        result.out = nil
        result.err = result.err:gsub("stdin:%d+:", "stdin:N:")
    end
    return result
end

describe("the command line", function()
    setup(function() program.enter(files) end)
    teardown(program.leave)

    for _, case in ipairs(cases) do
        it("is stock Lua's: " .. describe_case(case), function()
            local expected = outcome(program.stock, case)
            assert.are.same(expected, outcome(program.moonpool, case))
        end)
    end
end)
