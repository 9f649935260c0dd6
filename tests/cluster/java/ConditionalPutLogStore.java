package kindling.tests;

import io.delta.storage.HadoopFileSystemLogStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Creates each entry of Delta's log by one put of s3a, under the condition that it is absent. */
public class ConditionalPutLogStore extends HadoopFileSystemLogStore {
  public ConditionalPutLogStore(Configuration conf) {
    super(conf);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf)
      throws IOException {
    StringBuilder text = new StringBuilder();
    while (actions.hasNext()) {
      text.append(actions.next()).append('\n');
    }
    byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
    FileSystem files = path.getFileSystem(conf);
    try {
      FSDataOutputStreamBuilder<?, ?> once = files.createFile(path);
      once.must("fs.option.create.conditional.overwrite", true);
      FSDataOutputStream output =
          overwrite ? files.create(path, true) : (FSDataOutputStream) once.build();
      output.write(bytes);
      output.close();
    } catch (IOException error) {
      if (!overwrite && isRefusal(error)) {
        throw new FileAlreadyExistsException(path.toString());
      }
      throw error;
    }
  }

  @Override
  public Boolean isPartialWriteVisible(Path path, Configuration conf) {
    return false;
  }

  private static boolean isRefusal(IOException error) {
    return error instanceof org.apache.hadoop.fs.FileAlreadyExistsException
        || error.getClass().getSimpleName().equals("RemoteFileChangedException");
  }
}
