local example = require "spec.examples.example"

describe("examples/04_chunks", function()
  it("runs each chunk of three in one worker", function()
    local chunks = {}
    for _, line in ipairs(example.lines("04_chunks")) do
      chunks[#chunks + 1] = line:match("^PoolWorker%-[123] ran ({.*})$") or line
    end
    assert.same({ "{1, 2, 3}", "{4, 5, 6}", "{7}" }, chunks)
  end)
end)
