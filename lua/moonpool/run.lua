-- mp.run: external programs, their streams in hand.
--
-- Invariant: a program that is not done is ended whenever its run is left: by an error out of a
-- hook (Ctrl-C, a time limit, a cancel), by the end of its item, by this process's death.

local core, require = ...

local errors = require "moonpool.errors"
local options = require "moonpool.options"

local run = {}

local KNOWN = { stdin = true, cwd = true, env = true, check = true }

-- Those whose background processes live on, until the item or this process ends.
local leaving = {}

local function check_text(which, text)
  if type(text) ~= "string" and type(text) ~= "number" then
    errors.argument("run", which, "a string", text)
  elseif tostring(text):find("\0", 1, true) then
    errors.raise("argument", ("run: %s must be without zero bytes"):format(which))
  end
  return tostring(text)
end

local function argv_of(command)
  if type(command) == "string" then
    return { "/bin/sh", "-c", check_text("the command", command) }
  elseif type(command) ~= "table" or #command == 0 then
    errors.argument("run", "the first argument", "a list of words or a shell line", command)
  end
  local argv = {}
  for i, word in ipairs(command) do
    argv[i] = check_text(("word %d"):format(i), word)
  end
  return argv
end

-- This process's environment with what is given on top; false takes a variable away.
local function environment_of(changes)
  local environment = {}
  for _, entry in ipairs(core.environment()) do
    local name = entry:match("^[^=]*")
    if changes[name] == nil then
      environment[#environment + 1] = entry
    end
  end
  for name, value in pairs(changes) do
    check_text("a variable's name", name)
    if name:find("=", 1, true) or name == "" then
      errors.argument("run", "a variable's name", "a word without =", name)
    end
    if value ~= false then
      environment[#environment + 1] = name .. "=" .. check_text(name, value)
    end
  end
  return environment
end

local function check_options(given)
  if given == nil then
    return {}
  elseif type(given) ~= "table" then
    errors.argument("run", "the second argument", "a table of options", given)
  end
  options.check_names("run", given, KNOWN, "option")
  if given.stdin ~= nil and type(given.stdin) ~= "string" then
    errors.argument("run", "stdin", "a string", given.stdin)
  end
  if given.cwd ~= nil then
    check_text("cwd", given.cwd)
  end
  if given.env ~= nil and type(given.env) ~= "table" then
    errors.argument("run", "env", "a table of variables", given.env)
  end
  if given.check ~= nil and type(given.check) ~= "boolean" then
    errors.argument("run", "check", "a boolean", given.check)
  end
  return given
end

-- Ends the program unless it is done.
local Run = {}

function Run:__close()
  if self.child and not self.leaves then
    core.command_end(self.child)
  end
end

local function forget_those_that_left()
  for child in pairs(leaving) do
    if not core.command_leaves(child) then
      core.command_end(child)
      leaving[child] = nil
    end
  end
end

local function last_line(text)
  return text:match("([^\n]+)\n*$")
end

local function complain(command, result)
  local name = type(command) == "table" and command[1] or command
  local how = result.signal and ("was ended by signal %d"):format(result.signal)
    or ("ended with exit code %s"):format(result.exitcode or "unknown")
  local said = last_line(result.stderr)
  errors.raise("system", ("run: %s %s%s"):format(name, how, said and ": " .. said or ""),
    { result = result })
end

--- Runs a program and waits for its end: run(argv or shell line [, { stdin =, cwd =, env =,
--- check = }]), a table { stdout, stderr, exitcode, signal } of which the last two exclude each
--- other. `env` is put on top of this process's variables (false: without that one); with `check`
--- a program that fails is an error "system". What it has started ends with it or, in the
--- background, with the item.
function run.run(command, given)
  given = check_options(given)
  local argv = argv_of(command)
  local environment = given.env and environment_of(given.env) or nil
  forget_those_that_left()
  local held <close> = setmetatable({}, Run)
  held.child = core.command(argv, given.stdin or "", given.cwd and tostring(given.cwd), environment)
  repeat
    local done = core.command_step(held.child)
  until done
  local result = {}
  result.stdout, result.stderr, result.exitcode, result.signal = core.command_result(held.child)
  if core.command_leaves(held.child) then
    held.leaves = true
    leaving[held.child] = true
  end
  if given.check and result.exitcode ~= 0 then
    complain(command, result)
  end
  return result
end

return run
