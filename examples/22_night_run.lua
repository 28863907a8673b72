-- A run that is broken off goes on where it was: results are kept in a journal, and a long item
-- keeps its own state there, too.
--
-- The first night ends in an error at item 12. The second one takes from the journal what was done,
-- and item 12, which had saved how far it was, does only the rest of its steps.

local mp = require "moonpool"

local STEPS <const> = 20
local journal, mended = os.tmpname(), os.tmpname()
os.remove(journal)
os.remove(mended)

local function simulate(seed)
  local task = mp.task()
  local state = task:saved() or { step = 0, sum = 0.0 }
  local begun_at = state.step
  while state.step < STEPS do
    if seed == 12 and state.step == 15 and not io.open(mended) then error("a missing file") end
    state.step, state.sum = state.step + 1, state.sum + math.random()
    task:save(state)
  end
  return ("item %d did steps %d to %d"):format(seed, begun_at + 1, STEPS)
end

local function night()
  local pool <close> = mp.Pool(2)
  return pcall(pool.map, pool, simulate, mp.range(12), { journal = journal, seed = 1 })
end

local ok, err = night()
print(ok, err.message:match("[^:]*$"))

io.open(mended, "w"):close()
local _, results = night()
print(results.n, results[12])

local size = io.open(journal):seek("end")
night() -- has nothing to do
print("the third night adds " .. io.open(journal):seek("end") - size .. " bytes")

os.remove(journal)
os.remove(mended)
