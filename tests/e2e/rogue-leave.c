/*
 * Stands in place of a front that was taken over and ends at once, as if its client had left. Executed in an
 * empty view, hence static.
 */
int main(void)
{
    return 0;
}
