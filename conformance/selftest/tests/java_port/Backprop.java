// A process port in Java, which brings no JSON: PORTING.md builds and runs it. It is plain lists and loops.
import java.io.*;
import java.util.*;
import java.util.function.DoubleUnaryOperator;

public class Backprop {
    // One update: l, error and delta of layers 0 ... K (error and delta of 0 stay null), and the new syn.
    record Step(double[][][] l, double[][][] error, double[][][] delta, double[][][] syn) {}

    static Step step(double[][] X, double[][] y, double[][][] syn, double alpha) {
        int K = syn.length;
        double[][][] l = new double[K + 1][][], error = new double[K + 1][][], delta = new double[K + 1][][];
        l[0] = X;
        for (int k = 0; k < K; k++) l[k + 1] = map(product(l[k], syn[k]), x -> 1 / (1 + Math.exp(-x)));
        error[K] = sum(y, map(l[K], x -> -x));
        for (int k = K; k > 0; k--) {
            if (k < K) error[k] = product(delta[k + 1], transposed(syn[k]));
            delta[k] = times(error[k], map(l[k], s -> s * (1 - s)));
        }
        // The weights change only now: every error above used the old ones.
        double[][][] updated = new double[K][][];
        for (int k = 0; k < K; k++)
            updated[k] = sum(syn[k], map(product(transposed(l[k]), delta[k + 1]), d -> alpha * d));
        return new Step(l, error, delta, updated);
    }

    static double[][] product(double[][] a, double[][] b) {
        double[][] c = new double[a.length][b[0].length];
        for (int i = 0; i < a.length; i++)
            for (int j = 0; j < b[0].length; j++)
                for (int k = 0; k < b.length; k++) c[i][j] += a[i][k] * b[k][j];
        return c;
    }

    static double[][] transposed(double[][] a) {
        double[][] t = new double[a[0].length][a.length];
        for (int i = 0; i < a.length; i++)
            for (int j = 0; j < a[0].length; j++) t[j][i] = a[i][j];
        return t;
    }

    static double[][] map(double[][] a, DoubleUnaryOperator f) {
        return Arrays.stream(a).map(row -> Arrays.stream(row).map(f).toArray()).toArray(double[][]::new);
    }

    static double[][] sum(double[][] a, double[][] b) {
        double[][] c = map(a, x -> x);
        for (int i = 0; i < a.length; i++)
            for (int j = 0; j < a[0].length; j++) c[i][j] += b[i][j];
        return c;
    }

    static double[][] times(double[][] a, double[][] b) {
        double[][] c = map(a, x -> x);
        for (int i = 0; i < a.length; i++)
            for (int j = 0; j < a[0].length; j++) c[i][j] *= b[i][j];
        return c;
    }

    static Map<String, Object> reply(Map<String, Object> request) {
        Object op = request.get("op"), id = request.get("id");
        if (op.equals("hello")) return Map.of("id", id, "format", 1, "device", "cpu");
        double[][] X = matrix(request.get("X")), y = matrix(request.get("y"));
        double[][][] syn = list(request.get("weights")).stream().map(Backprop::matrix).toArray(double[][][]::new);
        double alpha = (Double) request.get("alpha");
        int K = syn.length;
        if (op.equals("step")) {
            Step s = step(X, y, syn, alpha);
            return Map.of("id", id, "l", Arrays.copyOfRange(s.l, 1, K + 1), "weights", s.syn,
                "error", Arrays.copyOfRange(s.error, 1, K + 1), "delta", Arrays.copyOfRange(s.delta, 1, K + 1));
        }
        List<Object> entries = new ArrayList<>();
        long n = 0;
        for (Object checkpoint : list(request.get("checkpoints"))) {
            for (; n < (Double) checkpoint; n++) syn = step(X, y, syn, alpha).syn;
            double[][] error = step(X, y, syn, alpha).error[K];
            double mean = Arrays.stream(error).flatMapToDouble(Arrays::stream).map(Math::abs).average().orElseThrow();
            entries.add(Map.of("iteration", n, "error", mean, "weights", syn));
        }
        return Map.of("id", id, "checkpoints", entries);
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    static double[][] matrix(Object rows) {
        return list(rows).stream()
            .map(row -> list(row).stream().mapToDouble(x -> (Double) x).toArray()).toArray(double[][]::new);
    }

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            System.out.println(json(reply(new Parser(line).object())));
            System.out.flush();
        }
    }

    static String json(Object value) {
        if (value instanceof Map<?, ?> map) {
            StringJoiner entries = new StringJoiner(",", "{", "}");
            map.forEach((key, item) -> entries.add("\"" + key + "\":" + json(item)));
            return entries.toString();
        }
        if (value instanceof List<?> items) return json(items.toArray());
        if (value instanceof double[] row) return Arrays.toString(row); // all digits that a double needs
        if (value instanceof Object[] items) {
            StringJoiner entries = new StringJoiner(",", "[", "]");
            for (Object item : items) entries.add(json(item));
            return entries.toString();
        }
        return value instanceof String ? "\"" + value + "\"" : value.toString();
    }

    // Reads requests. Their strings have no escapes, and all numbers become doubles.
    static class Parser {
        final StringTokenizer tokens;
        String token;

        Parser(String line) {
            tokens = new StringTokenizer(line, "{}[],:\" \n", true);
            next();
        }

        // Goes to the next token, and returns the one before.
        String next() {
            String last = token;
            do token = tokens.hasMoreTokens() ? tokens.nextToken() : "end"; while (token.equals(" "));
            return last;
        }

        Map<String, Object> object() {
            Map<String, Object> found = new HashMap<>();
            for (next(); !token.equals("}"); ) {
                String key = (String) value();
                next(); // the colon
                found.put(key, value());
                if (token.equals(",")) next();
            }
            next();
            return found;
        }

        Object value() {
            if (token.equals("{")) return object();
            if (token.equals("[")) {
                List<Object> found = new ArrayList<>();
                for (next(); !token.equals("]"); ) {
                    found.add(value());
                    if (token.equals(",")) next();
                }
                next();
                return found;
            }
            if (token.equals("\"")) {
                next();
                String text = next();
                next(); // the closing quote
                return text;
            }
            return token.matches("true|false") ? Boolean.valueOf(next()) : Double.valueOf(next());
        }
    }
}
