-- What the runs of an experiment with the same parameters come to: numbers of their results, and
-- which parameters are best.
--
-- Invariant: the numbers are those of the runs in their order, whichever ended first, so that the same
-- results give the same sums.

local summary = {}

-- ---- numbers ----

-- Mean, sample standard deviation (of two or more), least and most of a list. NaN makes the first two
-- NaN, and is neither least nor most but where there is nothing else.
local function describe(values)
  local n, sum, least, most = #values, 0.0, nil, nil
  for _, v in ipairs(values) do
    sum = sum + v
    if v == v then
      least, most = math.min(least or v, v), math.max(most or v, v)
    end
  end
  local mean, squares = sum / n, 0.0
  for _, v in ipairs(values) do
    squares = squares + (v - mean) ^ 2
  end
  return mean, n > 1 and math.sqrt(squares / (n - 1)) or nil, least or mean, most or mean
end

-- The numbers among the results: a list, and lists by the names of fields.
local function collect(rows, first, last)
  local plain, fields = {}, {}
  for i = first, last do
    local result = rows[i].result
    if type(result) == "number" then
      plain[#plain + 1] = result
    elseif type(result) == "table" then
      for name, value in next, result do
        if type(name) == "string" and type(value) == "number" then
          fields[name] = fields[name] or {}
          table.insert(fields[name], value)
        end
      end
    end
  end
  return plain, fields
end

--- What the rows first..last, which have the same parameters, come to: a table of `params`, `n` (runs
--- that ended well), `failed`, and where their results are numbers `mean`, `sd` (the sample standard
--- deviation, of two or more), `min` and `max`. Where results are tables, each of these is a table by
--- the names of the fields that are numbers.
function summary.of(rows, first, last)
  local entry = { params = rows[first].params, n = 0, failed = 0 }
  for i = first, last do
    local which = rows[i].error == nil and "n" or "failed"
    entry[which] = entry[which] + 1
  end
  local plain, fields = collect(rows, first, last)
  if #plain > 0 then
    entry.mean, entry.sd, entry.min, entry.max = describe(plain)
  elseif next(fields) ~= nil then
    entry.mean, entry.sd, entry.min, entry.max = {}, {}, {}, {}
    for name, values in next, fields do
      entry.mean[name], entry.sd[name], entry.min[name], entry.max[name] = describe(values)
    end
  end
  return entry
end

-- ---- which is best ----

--- What an entry is judged by: its mean, or that of the field `by`, or of its only one. nil where it
--- has none, or NaN.
function summary.score(entry, by)
  local mean = entry.mean
  if type(mean) == "table" then
    local name = by or next(mean)
    mean = (by or next(mean, name) == nil) and mean[name] or nil
  elseif by ~= nil then
    mean = nil
  end
  return mean == mean and mean or nil
end

--- Whether score `a` is better than `b`; none is worse than any.
function summary.is_better(best, a, b)
  if a == nil or b == nil then
    return a ~= nil
  elseif best == "min" then
    return a < b
  end
  return a > b
end

return summary
