-- timeout: 120
local mp = require "moonpool"
local script = require "spec.support.script"

local PROGRAM = script.PROGRAMS.moonpool

local function quoted(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

describe("moonpool map", function()
  local folder

  before_each(function()
    local pipe <close> = io.popen("mktemp -d")
    folder = pipe:read()
  end)

  after_each(function() os.execute("rm -rf " .. folder) end)

  -- Runs a command line in which $m is the program; what it wrote, what it said of errors, its code.
  local function shell(line)
    write(folder .. "/.line", line)
    local _, how, code = os.execute(("cd %s && m=%s timeout 60 bash .line >.out 2>.err </dev/null"):format(
      folder, quoted(PROGRAM:find("/", 1, true) and PROGRAM or "moonpool")))
    return script.read(folder .. "/.out"), script.read(folder .. "/.err"), how == "exit" and code or how
  end

  local function says(expected, line)
    local said, told, code = shell(line)
    assert.equal("", told)
    assert.equal(expected, said)
    assert.equal(0, code)
  end

  local function fails(pattern, line)
    local said, told, code = shell(line)
    assert.truthy(told:find(pattern), told)
    assert.equal(1, code)
    return said
  end

  local function file(name, text)
    write(folder .. "/" .. name, text)
  end

  describe("evaluates", function()
    it("an expression for each line, in order", function()
      local lines = {}
      for i = 1, 20000 do lines[i] = "line " .. i * i end
      file("in", table.concat(lines, "\n") .. "\n")
      says(table.concat(lines, "\n"):upper() .. "\n", "$m map 'line:upper()' in")
      says(table.concat(lines, "\n"):upper() .. "\n", "cat in | $m map -j 7 'line:upper()'")
    end)

    it("lines, their numbers over all files, and the file's name", function()
      file("a", "x\ny\n")
      file("b", "z\n")
      says("1\tx\ta\n2\ty\ta\n3\tw\t-\n4\tz\tb\n", "echo w | $m map 'n, line, file' a - b")
    end)

    it("a chunk with return", function()
      says("9\n", "printf '1\\n3\\n' | $m map 'local x = tonumber(line) if x > 1 then return x * x end'")
    end)

    it("several values, of which nil is empty; and nil alone, which is nothing", function()
      says("\ta\t\t1\nfalse\n\t\n", [[seq 5 | $m map 'if n == 1 then return nil, "a", nil, 1 end
        if n == 2 then return false end if n == 3 then return nil, nil end if n == 4 then return nil end return' ]])
    end)

    it("what has a text, and no other table", function()
      says("9\n", "printf '1\\n3\\n' | $m map 'local x = tonumber(line) if x > 1 then return x * x end'")
      fails("line 1: .*a table is no text: write %-%-json", "echo | $m map '{}'")
      fails("line 1: .*a function is no text", "echo | $m map print")
      fails("line 1: .*a thread is no text", "echo | $m map 'coroutine.create(print)'")
      says("file (closed)\n", "echo | $m map 'local f = io.tmpfile() f:close() return f'")
    end)

    it("nothing for no lines", function()
      says("", "$m map line")
      file("empty", "")
      says("", "$m map line empty empty")
    end)

    it("with functions, modules and globals that each worker sets up once", function()
      file("tools.lua", "loads = (loads or 0) + 1 return { twice = function(x) return x .. x end }")
      says("aa\tX\t1\nbb\tX\t1\n", [[printf 'a\nb\n' | LUA_PATH='./?.lua' $m map -j 2 -l tools -l s=string \
        -e 'function x() return s.upper "x" end' 'tools.twice(line), x(), loads']])
      fails("moonpool map: .*command line.*:1: no such luck", "seq 9 | $m map -e 'error \"no such luck\"' line")
    end)
  end)

  describe("splits", function()
    it("fields at runs of blanks", function()
      says("2\tb\n0\t\n3\tq\n", [[printf '  a \t b \n   \np q r' | $m map '#f, f[2]']])
    end)

    it("at each of a character", function()
      says("4\tb\t\n1\t\t\n0\t\t\n", [[printf 'a,b,,c\nx\n\n' | $m map -F, '#f, f[2], f[3]']])
      says("2\n", [[printf 'a.b' | $m map -F . '#f']])
      says("b c\n", [[printf 'a\tb c\td' | $m map -F '\t' 'f[2]']])
    end)

    it("whichever of them are looked at", function()
      says("c\t2\n", [[printf 'a b c d e' | $m map 'local f2 = f[2] return f[3], f2:byte() - 96']])
      says("c\t5\n", [[printf 'a b c d e' | $m map 'local last = 5 return f[3], f[last]:byte() - 96']])
      says("nil\n", [[printf 'a' | $m map 'tostring(f[100])']])
      says("a-b-c\n", [[printf 'a b c' | $m map 'table.concat(f, "-")']])
    end)

    it("at a pattern", function()
      says("3\tb\n1\t\n0\t\n", [[printf 'a, b;c\nx\n\n' | $m map -F '[,;]%s*' '#f, f[2]']])
      says("abc\n", [[echo abc | $m map -F 'x*' 'f[1]']])
    end)
  end)

  describe("takes lines as they are", function()
    it("with zero bytes, invalid UTF-8, carriage returns, and none at the end", function()
      says("a\0b\r\n\xff\n\nlast\n", [[printf 'a\0b\r\n\xff\n\nlast' | $m map line]])
    end)

    it("however long they are", function()
      local long = ("x"):rep(3000000)
      file("in", "a\n" .. long .. "\nb\n" .. long)
      says("1\n3000000\n1\n3000000\n", "cat in | $m map '#line'")
      says("a\n" .. long .. "\nb\n" .. long .. "\n", "$m map line in")
    end)

    it("from a pipe at once, though more is to come", function()
      says("A\nB\n", [[mkfifo ask answer
        $m map 'line:upper()' <ask >answer & exec 3>ask 4<answer
        echo a >&3; read -r x <&4; echo $x
        echo b >&3; read -r x <&4; echo $x
        exec 3>&-; wait $!]])
    end)

    it("with slow ones behind fast ones, which several workers share", function()
      local said = shell([[(seq 100000; for i in $(seq 8); do echo s; echo f; done) |
        $m map -j 4 'if line == "s" then mp.sleep(0.2) return mp.getpid() end return line == "f" and n or nil']])
      local workers, count, number = {}, 0, 100000
      for worker, after in said:gmatch "(%d+)\n(%d+)\n" do
        count = count + (workers[worker] and 0 or 1)
        workers[worker], number = true, number + 2
        assert.equal(number, tonumber(after))
      end
      assert.equal(100016, number)
      assert.truthy(count >= 3, said)
    end)

    it("with slow ones among them, each once, and tells of those that fail", function()
      local run = [[$m map %s -j 3 'if n %% 5003 == 0 then mp.sleep(0.07) end
        if n %% 20000 == 19999 then error("no " .. n, 0) end
        if n %% 30000 == 7 then os.exit(3) end return line' in]]
      local said, told = shell("seq 100000 >in;" .. run:format "-k"
        .. "| cmp - <(seq 100000 | awk '$1 % 20000 != 19999 && $1 % 30000 != 7')")
      assert.equal("", said)
      assert.equal(9, select(2, told:gsub("moonpool map: line %d+: [^\n]+\n", "")), told)
      assert.equal("", (shell("sed -i s/$/x/ in;" .. run:format "-uk" .. " 2>/dev/null | sort | uniq -d")))
      assert.equal("19999\n", (shell("seq 100000 >in;"
        .. run:format "":gsub("== 7", "== 20002") .. [[ | wc -l | awk '{ print $1 + 1 }']])))
    end)

    it("without an end", function()
      says("1\n2\n3\n", "yes | $m map n | head -n 3")
    end)
  end)

  describe("writes", function()
    it("what is ready first, where it may", function()
      says("2\n1\n", "seq 2 | $m map -j 2 -u 'mp.sleep(n == 1 and 0.5 or 0) or line'")
    end)

    it("no more where nobody reads, and leaves nobody behind", function()
      local said = shell([[yes | { $m map 'mp.getpid()'; echo ${PIPESTATUS[0]} >status; } | head -n 1]])
      local worker = math.tointeger(tonumber(said))
      assert.truthy(worker)
      assert.equal("", (shell(("for i in $(seq 100); do kill -0 %d 2>/dev/null || exit 0; sleep 0.1; done; echo there")
        :format(worker))))
    end)

    it("all to a pipe that is full now and then, and would not have it wait", function()
      local start = "import os, sys; os.set_blocking(1, False); os.execv(sys.argv[1], sys.argv[1:])"
      says("300000\n", ("seq 300000 | python3 -c %s $(command -v $m) map line | (sleep 0.3; wc -l)"):format(
        quoted(start)))
    end)

    it("that nothing can be written", function()
      fails("^moonpool map: cannot write: No space left on device\n$", "seq 100000 | $m map line >/dev/full")
    end)
  end)

  describe("lets expressions print", function()
    it("no more where nobody reads", function()
      says("1\n141\n", [[yes | { $m map -j 2 'print(n)'; echo ${PIPESTATUS[0]} >status; } | head -n 1; cat status]])
      says("x\n141\n", [[{ yes | $m map --resume J -j 1 'print "x"'; echo $? >status; } | head -n 1; cat status]])
    end)

    it("and tells that it cannot be written", function()
      fails("^moonpool map: cannot write: No space left on device\n$", "echo | $m map 'print(n)' >/dev/full")
      fails("^moonpool map: cannot write: No space left on device\n$", "echo | $m map 'io.write(n) and nil' >/dev/full")
      fails("^moonpool map: cannot write: Bad file descriptor\n$", "echo | $m map --resume J 'print(n)' >&-")
    end)
  end)

  describe("where lines fail", function()
    it("writes what is before the first one", function()
      assert.equal("1\n2\n", fails("^moonpool map: line 3: EXPR:1: attempt to perform arithmetic.-\n$",
        "seq 1000 | $m map 'n == 3 and nil + 1 or line'"))
    end)

    it("goes on if it may, and tells all", function()
      local said, told, code = shell("seq 5 | $m map -k 'n % 2 == 0 and error(\"even\", 0) or line'")
      assert.equal("1\n3\n5\n", said)
      assert.equal("moonpool map: line 2: even\nmoonpool map: line 4: even\n", told)
      assert.equal(1, code)
    end)

    it("writes nothing of a line of which a part could be written", function()
      assert.equal("2\n", fails("line 1", "seq 2 | $m map -k 'line, n == 1 and {} or nil' | cut -f 1; exit 1"))
    end)

    it("tells of a worker that is lost, and of its lines", function()
      fails("^moonpool map: lines? %d+.-: the worker left with exit code 3\n$",
        "seq 100 | $m map 'n == 50 and os.exit(3) or line'")
      local said = fails("^moonpool map: line 50: the worker left with exit code 3\n$",
        "seq 100 | $m map -k 'n == 50 and os.exit(3) or line'")
      assert.equal(99, select(2, said:gsub("\n", "")))
    end)

    it("tells of files that cannot be read", function()
      file("a", "x\n")
      assert.equal("x\n", fails("^moonpool map: cannot read none: No such file or directory\n$",
        "$m map line a none a"))
      assert.equal("x\nx\n", fails("cannot read none: .*cannot read %.: Is a directory", "$m map -k line a none . a"))
    end)

    it("tells of mistakes before anything is read", function()
      fails("moonpool map: EXPR:1: .*near <eof>", "$m map 'line:upper('")
      fails("moonpool map: EXPR:1: .*expected", "$m map 'if line then return 1'")
      fails("an expression is needed", "$m map -k")
      fails("an expression is needed", "$m map ' '")
      fails("%-F separates fields", "$m map --json -F, line")
      fails("^moonpool map: cannot read %-k: No such file or directory %(options stand before the expression%)\n$",
        "$m map line -k")
      fails("^moonpool map: module 'no.such' not found:", "echo | $m map -l no.such line")
      fails("%-j needs a positive integer", "$m map -j 0 line")
      fails("unknown option %-x", "$m map -kx line")
      fails("unknown option %-%-jsn", "$m map --jsn line")
      fails("%-F needs a character or a Lua pattern", "$m map -F '[a' line")
      fails("%-e needs a value", "$m map -e")
    end)
  end)

  describe("with --json", function()
    it("has values in and out", function()
      says('[1, 2]\n"x"\n[null, 1]\n{"a": 1.5, "b": true}\n',
        [[printf '{"a": [1, 2]}\n\n"x"\n3\nnull\n{"a": 1.5, "b": true}\n' | $m map --json \
          'if n == 4 then return nil, 1 end
           return type(line) == "table" and #line == 0 and type(line.a) == "table" and line.a or line']])
    end)

    it("writes what is empty as it was", function()
      local text = '{}\n[]\n[null, null]\n{"a": {}, "b": [], "c": [{}, [null]]}\n'
      file("in", text)
      says(text, "$m map --json line in")
      says('{}\n{"x": 1}\n[1]\n{"n": 1, "x": 1}\n', [[printf '{"a": null}\n{}\n{}\n[null]' | $m map --json '
        if n == 2 or n == 4 then line.x = 1 elseif n == 3 then line[1] = 1 end return line']])
    end)

    it("has several values as a list of all, and nil alone as nothing", function()
      says('[null, null]\n[{"a": 1}, null, null]\n', [[seq 4 | $m map --json \
        'if n == 1 then return nil, nil end if n == 2 then return {a = 1}, nil, nil end
        if n == 3 then return nil end return' ]])
      fails("line 1: value%[2%]%.f: cannot write a function as JSON", [[seq 4 | $m map --json '1, { f = print }']])
    end)

    it("tells what is none", function()
      fails("line 2: not JSON: .* column %d", [[printf '1\n{"a"\n' | $m map --json line]])
      fails("line 1: .*UTF%-8", [[echo 1 | $m map --json '"\xff"']])
    end)
  end)

  describe("with --resume", function()
    it("takes what is done from the journal, and writes it all again", function()
      file("count.lua", [[return function(line)
        local f <close> = io.open("count", "a") f:write(".") return line * 2 end]])
      file("count", "")
      local words = [[seq 3000 >in; LUA_PATH='./?.lua' timeout -s KILL %s \
        $m map --resume J -l count 'mp.sleep(0.002), count(line)' in >out; wc -l <out; tail -n 1 out]]
      shell("timeout -s KILL 1 setsid -w true;" .. words:format("1"))
      local before = #script.read(folder .. "/count")
      assert.equal("3000\n\t6000\n", (shell(words:format("60"))))
      local all = #script.read(folder .. "/count")
      assert.truthy(all - before <= 3000 and all >= 3000)
      shell("cp out first")
      assert.equal("3000\n\t6000\n", (shell(words:format("60"))))
      assert.equal(all, #script.read(folder .. "/count"))
      says("", "cmp first out")
    end)

    it("goes on behind a kill of all its processes", function()
      local run = "$m map --resume J 'mp.sleep(0.002) return line * 2'"
      says("", "seq 2000 >in; setsid " .. run .. [[ in >out 2>/dev/null & p=$!
        while [ ! -s out ]; do sleep 0.02; done; kill -KILL -- -$p; wait $p 2>/dev/null
        ]] .. run .. " in >out && seq 2 2 4000 | cmp - out")
    end)

    it("evaluates again what has failed", function()
      file("in", "1\n2\n3\n")
      local run = [[$m map -k --resume J 'n == 2 and not io.open "there" and error("none", 0) or line' in]]
      assert.equal("1\n3\n", fails("line 2: none", run))
      file("there", "")
      says("1\n2\n3\n", run)
    end)

    it("loses no more than a thousandth of what was done", function()
      local run = [[$m map -k --resume J -e 'function look(n) io.open("seen", "a"):write(n, "\n"):close() end' \
        'look(n) return n == 15000 and not io.open "there" and error("none", 0) or line' in]]
      shell("seq 20000 >in;" .. run .. "; rm seen; touch there; " .. run)
      local _, count = script.read(folder .. "/seen"):gsub("\n", "")
      assert.truthy(count >= 1 and count <= 15, count)
    end)

    it("refuses the journal of another expression, and what is none", function()
      file("in", "1\n")
      says("1\n", "$m map --resume J line in")
      fails("J is the journal of another expression, or of other options", "$m map --resume J 'line + 1' in")
      fails("in is no journal", "$m map --resume in line in")
    end)
  end)

  describe("with --progress", function()
    it("tells how far it is", function()
      local said, told, code = shell("seq 100 >in; $m map --progress line in")
      assert.equal(0, code)
      assert.equal(100, select(2, said:gsub("\n", "")))
      assert.truthy(told:find("^map: 100/100 %(100%%%), .*\n$"), told)
    end)

    it("has a bar below what is written", function()
      local said = shell([[seq 30 >in; cd ]] .. mp.run({ "pwd" }).stdout:gsub("\n", "") .. [[
        && timeout 60 python3 spec/support/screen.py 80 10 -- $m map --progress 'mp.sleep(0.02) return line' ]]
        .. folder .. "/in")
      assert.truthy(said:find("29%s+30%s+map 100%% .*30/30"), said)
    end)
  end)

  describe("ends", function()
    it("at once by Ctrl-C, with its workers", function()
      local said, _, code = shell([[mkfifo in
        $m map 'io.open("pid", "w"):write(mp.getpid()):close() while true do end' <in &
        exec 3>in; echo >&3
        while [ ! -s pid ]; do sleep 0.02; done; kill -INT $!; wait $!; echo $?
        for i in $(seq 100); do kill -0 $(cat pid) 2>/dev/null || exit 7; sleep 0.1; done]])
      assert.equal("130\n", said)
      assert.equal(7, code)
    end)

    it("while it waits for its input", function()
      says("130\n", [[mkfifo none; $m map line <none & exec 3>none; sleep 0.2; kill -INT $!
        wait $!; echo $?]])
    end)
  end)

  it("holds no more of a long input than it needs", function()
    local sanitized = (os.getenv "MOONPOOL_SANITIZE" or "") ~= "" -- which keeps what is freed
    local said = shell([[yes "$(head -c 200 /dev/zero | tr '\0' x)" | head -n 1000000 |
      $m map -j 2 -e 'function rss(pid) for l in io.lines("/proc/" .. pid .. "/status") do
        local kb = l:match "^VmRSS:%s+(%d+)" if kb then return tonumber(kb) end end end' \
      'if n % 100000 == 0 then return math.max(rss "self", rss(mp.getppid())) end']])
    local count = 0
    for kilobytes in said:gmatch("%d+") do
      count = count + 1
      assert.truthy(tonumber(kilobytes) < (sanitized and 2000000 or 100000), said)
    end
    assert.equal(10, count)
  end)
end)
