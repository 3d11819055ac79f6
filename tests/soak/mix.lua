-- For wrk: requests of every kind, at random, and each answer held against its one right body. nginx echoes the number
-- of the request (?soak=N) in a header, for answers of many connections come to one function.
--
-- SOAK_MIX: a Lua file that returns {groups = {{weight, first, last}, ...}, {kind, request, status, body}, ...};
-- SOAK_REQUESTS: how many answers each thread waits for; SOAK_FOLDER: where a thread says that it has them, and what was
-- wrong; SOAK_PATIENCE: milliseconds before the next request of a connection that was told "too busy".

local mix = dofile(os.getenv("SOAK_MIX"))
local wanted = tonumber(os.getenv("SOAK_REQUESTS"))
local folder = os.getenv("SOAK_FOLDER")
local patience = tonumber(os.getenv("SOAK_PATIENCE"))
local EXAMPLES = 5

local threads = {}
local total = 0
for _, group in ipairs(mix.groups) do
    total = total + group[1]
end

function setup(thread)
    table.insert(threads, thread)
    thread:set("number", #threads)
end

function init()
    math.randomseed(os.time() * 64 + number)
    answers, wrong, leftovers, refused, counts = 0, 0, 0, 0, {}
end

function request()
    local dice = math.random() * total
    for _, group in ipairs(mix.groups) do
        dice = dice - group[1]
        if dice < 0 then
            return mix[math.random(group[2], group[3])][2]
        end
    end
    return mix[1][2]
end

-- wrk asks this before each request, but not for which connection: as many wait as were refused.
if patience then
    function delay()
        if refused > 0 then
            refused = refused - 1
            return patience
        end
        return 0
    end
end

local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "a"))
    file:write(text, "\n")
    file:close()
end

local function count(kind, status)
    local key = kind .. "\t" .. status
    counts[key] = (counts[key] or 0) + 1
end

-- What had come of an answer that was cut short, wrk leaves in front of the next one that comes over a new connection.
local function without_leftover(headers, body)
    local length = tonumber(headers["Content-Length"])
    if length and #body > length then
        leftovers = leftovers + 1
        return body:sub(#body - length + 1)
    end
    return body
end

local function judge(status, headers, body)
    local asked = mix[tonumber(headers["X-Soak"] or 0)]
    -- Headers of an answer that was cut are left over, too.
    if not asked or body == "metrics are not available\n" then
        return "of nginx", body == "metrics are not available\n"
    end
    if status == 503 and body == "too busy" and (tonumber(headers["Retry-After"]) or 0) > 0 then
        refused = refused + 1
        return "too busy", true
    end
    body = body:gsub('"last_updated":"[^"]*"', '"last_updated":""')
    return asked[1], status == asked[3] and body == asked[4], asked
end

function response(status, headers, body)
    body = without_leftover(headers, body)
    local kind, right, asked = judge(status, headers, body)
    count(kind, status)
    answers = answers + 1
    if not right then
        wrong = wrong + 1
        if wrong <= EXAMPLES then
            write("wrong", string.format("%s: %d %s\n  wanted: %s %s", kind, status, body,
                asked and asked[3] or "?", asked and asked[4] or "?"))
        end
    end
    if answers == wanted then
        write("done", number)
        wrk.thread:stop()
    end
end

function done(summary, latency)
    local all, errors = {}, summary.errors
    local wrong_ones, cut = 0, 0
    for _, thread in ipairs(threads) do
        wrong_ones = wrong_ones + thread:get("wrong")
        cut = cut + thread:get("leftovers")
        for key, value in pairs(thread:get("counts")) do
            all[key] = (all[key] or 0) + value
        end
    end
    for key, value in pairs(all) do
        print(string.format("count\t%s\t%d", key, value))
    end
    print(string.format("wrong\t%d", wrong_ones))
    print(string.format("cut\t%d", cut))
    print(string.format("errors\t%d\t%d\t%d\t%d", errors.connect, errors.read, errors.write, errors.timeout))
    print(string.format("latency\t%d\t%d\t%d", latency:percentile(50), latency:percentile(99), latency.max))
end
