-- The table of promises names specs that are there, with tests of those names in them.
describe("spec/sentences.md", function()
  local rows = {}
  for line in io.lines("spec/sentences.md") do
    local promise, specs = line:match("^| (.-) | (`.*) |$")
    if promise then rows[#rows + 1] = { promise, specs } end
  end

  it("has a row for each promise", function() assert.is_true(#rows > 100) end)

  for _, row in ipairs(rows) do
    it(row[1], function()
      local n = 0
      for path, name in row[2]:gmatch('`([^`]+)` "([^"]*)"') do
        local file <close> = assert(io.open("spec/" .. path))
        assert.is_truthy(file:read("a"):find(name, 1, true), ("%s has no %q"):format(path, name))
        n = n + 1
      end
      assert.is_true(n > 0)
    end)
  end
end)
