-- Random search: thirty settings drawn at random, each tried four times, in parallel.
--
-- A ball is thrown over a wall 5 metres high at 20 metres' distance, into a wind that is never the
-- same. Which angle and speed bring it over at the least effort?

local mp = require "moonpool"

local function throw(setting)
  local wind = (math.random() - 0.5) * 4
  local angle, x, y, dt = math.rad(setting.angle), 0.0, 1.5, 0.01
  local vx, vy = setting.speed * math.cos(angle), setting.speed * math.sin(angle)
  while x < 20 and y > 0 do
    vx, vy = vx - wind * 0.1 * dt, vy - 9.81 * dt
    x, y = x + vx * dt, y + vy * dt
  end
  local over = x >= 20 and y > 5
  return { cost = setting.speed ^ 2 / 100 + (over and 0 or 10), over = over and 1 or 0 }
end

local rows = mp.experiment {
  space = mp.sample({ angle = { min = 20, max = 75 }, speed = { min = 12, max = 30, log = true } }, 30, 7),
  run = throw, repeats = 4, seed = 7, processes = 2, best = "min", by = "cost", show = false,
}

print(#rows .. " throws of " .. #rows.summary .. " kinds")
local best = rows.best
print(("best: %.0f degrees at %.1f m/s, over in %.0f %% of %d, cost %.2f"):format(best.params.angle,
  best.params.speed, 100 * best.mean.over, best.n, best.mean.cost))
