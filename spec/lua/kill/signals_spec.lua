-- timeout: 120
-- Signals that end a script, wherever it is: none of its processes is left.
local script = require "spec.support.script"

local FRAME = [[
  local host = mp.getpid()
  local function send(name) io.popen("kill -" .. name .. " " .. host):close() end
  local function spin() while true do end end
  local pool = mp.Pool(2)
  pool:apply(math.abs, { 1 })
]]

local function run(body, program)
  local r = script.run(FRAME:gsub("\n", " ") .. body, { program = program })
  assert.is_nil(r.output:find("behind", 1, true), "went on")
  assert.is_true(script.left_nothing(r))
  return r
end

script.each_program(function(program)
  describe("Ctrl-C in " .. program .. " stops", function()
    local PLACES = {
      ["a map that reads its input"] = [[
        local n = 0
        pool:map(math.abs, function() n = n + 1 if n == 5000 then send("INT") end return n end)]],
      ["an input that does not end"] = [[
        pool:map(math.abs, function() send("INT") while true do end end)]],
      ["apply_async in a loop"] = [[
        for i = 1, math.huge do
          pool:apply_async(math.abs, { i })
          if i == 100 then send("INT") end
        end]],
      ["an error_callback"] = [[
        pool:apply_async(error, { 1 }, nil, function() send("INT") while true do end end) pool:wait()]],
      ["an imap loop's body"] = [[
        for i in pool:imap(math.abs, mp.range(1000)) do
          if i == 3 then send("INT") while true do end end
        end]],
    }
    for place, body in pairs(PLACES) do
      it(place, function()
        local r = run(body .. " print('behind')", program)
        assert.is_true(r.code ~= 0)
        assert.matches("interrupted!", r.errors)
      end)
    end
  end)

  describe("a second Ctrl-C in " .. program, function()
    it("ends the process, and its workers with it", function()
      local r = run([[
        pool:apply_async(spin)
        pcall(function() send("INT") pool:wait() end)
        send("INT")
        while true do end
      ]], program)
      assert.is_true(r.signal == 2 or r.code ~= 0)
    end)
  end)

  describe("SIGTERM in " .. program, function()
    for place, body in pairs {
      ["a wait"] = [[pool:apply_async(function() send("TERM") spin() end) pool:wait()]],
      ["a loop"] = [[pool:apply_async(spin) send("TERM") while true do end]],
      ["a callback"] = [[
        pool:apply_async(math.abs, { 1 }, function() send("TERM") while true do end end) pool:wait()]],
      ["a join"] = [[pool:apply_async(function() send("TERM") spin() end) pool:close() pool:join()]],
    } do
      it("ends it by that signal in " .. place .. ", and its workers with it", function()
        local r = run(body .. " print('behind')", program)
        assert.equal(15, r.signal)
        assert.equal("", r.errors)
      end)
    end
  end)
end)
