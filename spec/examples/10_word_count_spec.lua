local example = require "spec.examples.example"

describe("examples/10_word_count", function()
  it("counts the words of the files below a directory", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    for name, text in pairs { a = "The sea, the SEA\n", b = "sea 1 ship", c = "" } do
      local file <close> = assert(io.open(directory .. "/" .. name, "w"))
      file:write(text)
    end
    local output = example.output("10_word_count", directory)
    os.execute("rm -r " .. directory)
    assert.equal("3 files, 6 words, 3 different ones\n     3  sea\n     2  the\n     1  ship\n",
      output)
  end)

  it("counts those of the licences", function()
    local lines = example.lines("10_word_count")
    assert.matches("^%d+ files, %d+ words, %d+ different ones$", lines[1])
    assert.equal(11, #lines)
  end)
end)
