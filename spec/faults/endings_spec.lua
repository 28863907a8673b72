-- timeout: 120
-- How a task may end its worker: each way is told, with signal or exit code.
local fault = require "spec.support.fault"

-- What the item's error says of `ending`, code of a function body.
local function ends(ending, signal, exitcode, text)
  fault.says(("%s\t%s\ttrue\n49\n"):format(signal, exitcode), ([[
    account.pool(2, function(pool)
      local results = pool:map(function(i)
        if i == 20 then %s end
        return i
      end, mp.range(50), { on_error = "collect", chunksize = 10 })
      local err = results.errors[20]
      assert(err.kind == "worker_lost", err)
      print(err.signal, err.exitcode, tostring(err):find("%s", 1, true) ~= nil)
      local right = 0
      for i = 1, 50 do right = right + (results[i] == i and 1 or 0) end
      print(right)
      return 1
    end)
  ]]):format(ending, text))
end

describe("a task that ends its worker", function()
  it("by SIGSEGV in a C module", function() ends('require "spec.crash".segv()', 11, nil, "SIGSEGV") end)
  it("by abort in a C module", function() ends('require "spec.crash".abort()', 6, nil, "SIGABRT") end)
  it("by a stack overflow in a C module", function()
    ends('require "spec.crash".overflow()', 11, nil, "SIGSEGV")
  end)
  it("by _exit in a C module", function() ends('require "spec.crash".quit(9)', nil, 9, "exit code 9") end)
  it("by SIGBUS", function() ends('require "spec.crash".raise(7)', 7, nil, "SIGBUS") end)
  it("by SIGFPE", function() ends('require "spec.crash".raise(8)', 8, nil, "SIGFPE") end)
  it("by SIGTERM", function() ends('os.execute("kill -TERM " .. mp.getpid())', 15, nil, "SIGTERM") end)
  it("by SIGHUP", function() ends('os.execute("kill -HUP " .. mp.getpid())', 1, nil, "SIGHUP") end)
  it("by a real-time signal", function()
    ends('require "spec.crash".raise(40)', 40, nil, "signal 40")
  end)
  it("by os.exit(0)", function() ends("os.exit(0)", nil, 0, "exit code 0") end)
  it("by os.exit(3)", function() ends("os.exit(3)", nil, 3, "exit code 3") end)
  it("by os.exit(true)", function() ends("os.exit(true)", nil, 0, "exit code 0") end)
  it("by os.exit(false)", function() ends("os.exit(false)", nil, 1, "exit code 1") end)
  it("by os.exit that closes the state", function() ends("os.exit(4, true)", nil, 4, "exit code 4") end)
  it("by exec of something else", function()
    ends('os.execute("kill -KILL $PPID")', 9, nil, "SIGKILL")
  end)
end)

describe("an endless recursion in Lua", function()
  it("is an error of that item's", function()
    fault.says("task\ttrue\t49\n", [[
      account.pool(2, function(pool)
        local function dig(n) return 1 + dig(n + 1) end
        local results = pool:map(function(i) return i == 7 and dig(1) or i end, mp.range(50),
          { on_error = "collect" })
        print(results.errors[7].kind, tostring(results.errors[7]):find("stack overflow", 1, true) ~= nil,
          50 - results.failed)
        return 0
      end)
    ]])
  end)

  it("through a C boundary is one, too", function()
    fault.says("task\t49\n", [[
      account.pool(2, function(pool)
        local function dig() return select(2, pcall(string.gsub, "x", "x", dig)) .. "" end
        local results = pool:map(function(i)
          if i == 7 then error(dig()) end
          return i
        end, mp.range(50), { on_error = "collect" })
        print(results.errors[7].kind, 50 - results.failed)
        return 0
      end)
    ]])
  end)
end)
