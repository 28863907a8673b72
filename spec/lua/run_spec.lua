-- timeout: 60
-- mp.run: external programs. Their ends by force stand in kill/run_spec.lua.
local script = require "spec.support.script"

local function says(expected, source)
  script.each_program(function(program)
    assert.equal(expected, script.output(source, { program = program }))
  end)
end

describe("run", function()
  it("takes a shell line or a list of words, which no shell reads", function()
    says("a  b\n|0|nil\n$HOME *\n|0|nil\n3|\n", [[
      local r = mp.run "echo 'a  b'"
      print(r.stdout .. "|" .. r.exitcode .. "|" .. tostring(r.signal))
      r = mp.run { "echo", "$HOME *" }
      print(r.stdout .. "|" .. r.exitcode .. "|" .. tostring(r.signal))
      print(mp.run { "printf", "%d", 3 }.stdout .. "|")
    ]])
  end)

  it("tells both streams, the exit code, the signal", function()
    says("out\n|err\n|7|nil\n||nil|9\n", [[
      local function tell(r)
        io.write(r.stdout, "|", r.stderr, "|", tostring(r.exitcode), "|", tostring(r.signal), "\n")
      end
      tell(mp.run "echo out; echo err >&2; exit 7")
      tell(mp.run "kill -9 $$")
    ]])
  end)

  it("gives input, and an end of it", function()
    says("ABC\n0\n", [[
      print(mp.run({ "tr", "a-z", "A-Z" }, { stdin = "abc" }).stdout)
      print(#mp.run("cat").stdout)
    ]])
  end)

  it("moves more than pipes hold, both ways at once", function()
    says("true\ttrue\n", [[
      local bytes = ("0123456789abcdef"):rep(1 << 19)
      local r = mp.run({ "tee", "/dev/stderr" }, { stdin = bytes })
      print(r.stdout == bytes, r.stderr == bytes)
    ]])
  end)

  it("does not mind a program that reads no further", function()
    says("1\t0\n", [[
      local r = mp.run({ "head", "-c", "1" }, { stdin = ("x"):rep(1 << 22) })
      print(#r.stdout, r.exitcode)
    ]])
  end)

  it("takes a directory and variables", function()
    says("/\none  two unset PATH\n", [[
      io.write(mp.run("pwd", { cwd = "/" }).stdout)
      local r = mp.run('echo "$ONE" "${HOME-}" "$TWO" "${GONE-unset}" ${PATH:+PATH}',
        { env = { ONE = "one", TWO = "two", GONE = false, HOME = "" } })
      io.write(r.stdout)
    ]])
  end)

  it("checks where that is asked", function()
    says("0\nfalse\tsystem\trun: sh ended with exit code 3: why\t3\nfalse\tsystem\ttrue\t9\n", [[
      print(mp.run("true", { check = true }).exitcode)
      local ok, err = pcall(mp.run, { "sh", "-c", "echo more >&2; echo why >&2; exit 3" }, { check = true })
      print(ok, err.kind, err.message, err.result.exitcode)
      ok, err = pcall(mp.run, "kill -9 $$", { check = true })
      print(ok, err.kind, err.message:find("was ended by signal 9", 1, true) ~= nil, err.result.signal)
    ]])
  end)

  it("tells what cannot be run", function()
    says("system\t2\trun: /no/such/program: No such file or directory\n"
      .. "system\t2\trun: /no/such/place: No such file or directory\nsystem\t13\n", [[
      local _, err = pcall(mp.run, { "/no/such/program" })
      print(err.kind, err.errno, err.message)
      _, err = pcall(mp.run, "true", { cwd = "/no/such/place" })
      print(err.kind, err.errno, err.message)
      _, err = pcall(mp.run, { "/dev/null" })
      print(err.kind, err.errno)
    ]])
  end)

  for what, text in pairs {
    ["mp.run()"] = "the first argument must be a list of words or a shell line, got nil",
    ["mp.run {}"] = "the first argument must be a list of words or a shell line, got table",
    ["mp.run { 'a', {} }"] = "word 2 must be a string, got table",
    ["mp.run 'a\\0b'"] = "the command must be without zero bytes",
    ["mp.run('a', 3)"] = "the second argument must be a table of options, got number 3",
    ["mp.run('a', { input = 'x' })"] = "input",
    ["mp.run('a', { stdin = 3 })"] = "stdin must be a string, got number 3",
    ["mp.run('a', { env = 3 })"] = "env must be a table of variables, got number 3",
    ["mp.run('a', { env = { ['a=b'] = '' } })"] = "a variable's name must be a word without =, got string \"a=b\"",
    ["mp.run('a', { env = { A = {} } })"] = "A must be a string, got table",
    ["mp.run('a', { check = 1 })"] = "check must be a boolean, got number 1",
  } do
    it("names the mistake in " .. what, function()
      local output = script.output(("local ok, err = pcall(function() return %s end) print(ok, err.kind, err.message)")
        :format(what))
      assert.matches("^false\targument\t", output)
      assert.is_truthy(output:find(text, 1, true), output)
    end)
  end

  it("leaves the program its streams and default signals, and nothing else", function()
    local said = script.output [[
      local kept = io.open("/dev/null")
      local pool <close> = mp.Pool(2)
      pool:map(math.abs, { 1, 2 })
      local function look() return mp.run("ls /proc/self/fd; grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status").stdout end
      print(look())
      print(pool:apply(look))
      kept:close()
    ]]
    for _, name in ipairs { "SigBlk", "SigIgn" } do
      for mask in said:gmatch(name .. ":%s*(%x+)") do
        assert.equal(0, tonumber(mask, 16) & 0x7fffffff, name) -- the C library has a use for 32 and 33
      end
    end
    -- 0 to 2, the group's lifeline, the directory that ls reads.
    for list in said:gmatch("[%d\n]+") do
      if list:find "^0\n1\n2\n" then
        assert.is_true(select(2, list:gsub("%d+\n", "")) <= 5, list)
      end
    end
  end)

  it("leaves nothing behind, a thousand times over", function()
    says("\n", [[
      local leaks = require "spec.support.leaks"
      local before = leaks.snapshot()
      for i = 1, 500 do
        assert(mp.run { "true" }.exitcode == 0)
        assert(not pcall(mp.run, { "/no/such/program" }))
      end
      print(leaks.left(before))
    ]])
  end)

  it("runs in tasks, each its own", function()
    says("true\n", [[
      local pool <close> = mp.Pool(4)
      local results = pool:map(function(i) return mp.run({ "cat" }, { stdin = ("x"):rep(i) }).stdout end, mp.range(100))
      local right = true
      for i = 1, 100 do right = right and #results[i] == i end
      print(right)
    ]])
  end)
end)
