-- timeout: 180
-- Results come faster than they are taken: the workers wait for room, memory stays flat.
local fault = require "spec.support.fault"

describe("results faster than their consumer", function()
  it("wait in the workers where the consumer is slow, and memory stays flat", function()
    fault.says("9000\ttrue\ttrue\n", [[
      account.pool(2, function(pool)
        local leaks, rep = require "spec.support.leaks", string.rep
        local n, most, kib = 0, 0, leaks.private_kib()
        for i, text in pool:imap_unordered(function(i) return i .. rep("x", 100000) end, mp.range(9000)) do
          assert(text == i .. rep("x", 100000))
          n = n + 1
          if n % 20 == 0 then
            mp.sleep(0.001)
            most = math.max(most, account.held())
          end
        end
        collectgarbage()
        -- Of 900 MB that have passed; sanitizers keep what is freed.
        local flat = leaks.private_kib() - kib < 400 << 10 or (os.getenv("MOONPOOL_SANITIZE") or "") ~= ""
        print(n, most < 160 << 20, flat)
        return 0
      end)
    ]])
  end)

  it("wait in the workers where the consumer sleeps", function()
    fault.says("true\n2000\ttrue\n", [[
      account.pool(2, function(pool)
        local rep = string.rep
        local pending = pool:map_async(function(i) return rep("x", 300000) .. i end, mp.range(2000), 1)
        mp.sleep(1)
        print(account.held() < 400 << 20) -- of 600 MB
        local results, right = pending:get(), true
        for i = 1, 2000 do right = right and results[i] == rep("x", 300000) .. i end
        print(results.n, right)
        return 0
      end)
    ]])
  end)

  it("wait for an imap's consumer that comes late, whose input is not eaten meanwhile", function()
    fault.says("true\n60000\ttrue\n", [[
      account.pool(2, function(pool)
        local pulled, rep = 0, string.rep
        local it = pool:imap(function(i) return rep("x", 5000) .. i end, function()
          pulled = pulled + 1
          return pulled <= 60000 and pulled or nil
        end)
        it()
        mp.sleep(0.5)
        print(pulled < 30000 and account.held() < 200 << 20)
        local n, right = 1, true
        for _, text in it do
          n = n + 1
          right = right and text == rep("x", 5000) .. n
        end
        print(n, right)
        return 0
      end)
    ]])
  end)
end)

describe("input faster than its workers", function()
  it("waits in the call, and memory stays flat", function()
    fault.says("true\ttrue\n", [[
      account.pool(2, function(pool)
        local sleep, n, most, rep = mp.sleep, 0, 0, string.rep
        local results = pool:map(function(text)
          return #text
        end, function()
          n = n + 1
          if n % 50 == 0 then most = math.max(most, account.held()) end
          return n <= 10000 and rep("x", 100000) or nil
        end)
        local right = results.n == 10000
        for i = 1, 10000 do right = right and results[i] == 100000 end
        print(right, most < 400 << 20)
        return 0
      end)
    ]])
  end)
end)
