-- Runs programs for the specs of this folder: stock Lua and Moonpool's, in a
-- folder of their own, with what they read, and tells what they wrote and how they ended.

local program = {
    moonpool = os.getenv("MOONPOOL") or "build/release/moonpool",
    stock = "lua5.4",
}

if program.moonpool:sub(1, 1) ~= "/" then
    program.moonpool = io.popen("pwd"):read() .. "/" .. program.moonpool
end

local function quote(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

local function write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
end

local folder

--- A fresh folder in which programs run, with these files: name -> text.
function program.enter(files)
    local pipe <close> = io.popen("mktemp -d")
    folder = pipe:read()
    for name, text in pairs(files or {}) do
        write(folder .. "/" .. name, text)
    end
end

function program.leave()
    os.execute("rm -rf " .. quote(folder))
end

local function environment(changes)
    local words = {"env -u LUA_INIT -u LUA_INIT_5_4"}
    for name, value in pairs(changes or {}) do
        words[#words + 1] = quote(name .. "=" .. value)
    end
    return table.concat(words, " ")
end

--- Runs it with a list of arguments. options: stdin (text), env (name -> value).
-- Returns {out, err, exit or signal}.
function program.run(path, arguments, options)
    options = options or {}
    local words = {environment(options.env), quote(path)}
    for _, word in ipairs(arguments) do
        words[#words + 1] = quote(word)
    end
    write(folder .. "/.in", options.stdin or "")
    local _, how, code = os.execute(("cd %s && exec %s <.in >.out 2>.err")
        :format(quote(folder), table.concat(words, " ")))
    return {[how] = code, out = read(folder .. "/.out"), err = read(folder .. "/.err")}
end

function program.run_moonpool(arguments, options)
    return program.run(program.moonpool, arguments, options)
end

return program
